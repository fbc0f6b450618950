//! Small random worlds: a row of configs, each planned from where the last one led.

use std::fmt::Write as _;

use fleetwright::diagnostic::codes;
use fleetwright::model::ids::{ImageId, Region};
use fleetwright::model::limits::Limits;
use fleetwright::model::observed::ImageKind;
use fleetwright::plan::check;
use proptest::prelude::*;

use crate::world::{World, desired, image};

/// One config: at most four blocks of ours, on a machine to capture from.
#[derive(Clone, Debug)]
struct Config {
    builder: u32,
    /// For each of two images: its version, whether it is copied, and with how many accounts it is shared.
    images: [Option<(u32, bool, u32)>; 2],
    /// A fleet from a public image, or from the first of ours.
    fleet: Option<(u32, bool)>,
    /// An image of the machine that runs from the first image.
    chained: Option<u32>,
}

impl Config {
    fn yaml(&self) -> String {
        let mut images = String::from("images:\n  ubuntu: { public: { name: Ubuntu } }\n");
        let mut shares = String::new();
        for (n, image) in self.images.iter().enumerate() {
            let Some((version, copied, accounts)) = image else { continue };
            let regions = if *copied { ", regions: [ap-guangzhou, ap-shanghai]" } else { "" };
            let source = format!(
                "from_instance: {{ instance: \"fleet.builder[0]\" }}, version: \"b{}-{version}\"",
                self.builder
            );
            writeln!(images, "  i{n}: {{ {source}{regions} }}").expect("a text");
            let list: Vec<String> = (0..*accounts).map(|n| format!("\"10000000{:04}\"", 2 + n * version)).collect();
            if *accounts > 0 {
                writeln!(shares, "  s{n}: {{ image: i{n}, accounts: [{}] }}", list.join(", ")).expect("a text");
            }
        }
        let mut fleets = String::from("fleets:\n");
        let place = "type: S5.MEDIUM4, update: { strategy: replace, max_unavailable: 2 }";
        let runs = format!("user_data: {{ text: \"{}\" }}", self.builder);
        writeln!(fleets, "  builder: {{ image: ubuntu, count: 1, zones: [ap-guangzhou-3], {runs}, {place} }}")
            .expect("a text");
        let ours = self.images[0].is_some();
        if let Some((count, from_ours)) = self.fleet {
            let from = if from_ours && ours { "i0" } else { "ubuntu" };
            let zones = "zones: [ap-guangzhou-3, ap-guangzhou-4]";
            writeln!(fleets, "  web: {{ image: {from}, count: {count}, {zones}, {place} }}").expect("a text");
        }
        if let Some(version) = self.chained.filter(|_| ours) {
            let runs = format!("user_data: {{ text: \"{version}\" }}");
            writeln!(fleets, "  second: {{ image: i0, count: 1, zones: [ap-guangzhou-4], {runs}, {place} }}")
                .expect("a text");
            writeln!(images, "  chained: {{ from_instance: {{ instance: \"fleet.second[0]\" }} }}").expect("a text");
        }
        let shares = if shares.is_empty() { shares } else { format!("shares:\n{shares}") };
        format!("project: shop\ncloud: {{ provider: embedded, region: ap-guangzhou }}\n{images}{shares}{fleets}")
    }
}

fn config() -> impl Strategy<Value = Config> {
    let one = prop::option::weighted(0.8, (1_u32..4, any::<bool>(), 0_u32..4));
    (1_u32..3, [one.clone(), one], prop::option::of((0_u32..5, any::<bool>())), prop::option::weighted(0.3, 1_u32..3))
        .prop_map(|(builder, images, fleet, chained)| Config { builder, images, fleet, chained })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_holds_in_every_order(
        configs in prop::collection::vec(config(), 1..5),
        foreign in 0_u32..3,
        images in 1_u32..6,
        accounts in 2_u32..6,
        instances in 2_u32..8,
        turn in any::<u64>(),
    ) {
        let limits = Limits {
            images_per_region: images,
            accounts_per_image: accounts,
            instances_per_zone: instances,
            ..Limits::EMBEDDED
        };
        let mut world = World::new(limits);
        for n in 0..foreign.min(images) {
            let id = ImageId::new(format!("img-foreign-{n}"));
            world.foreign_image(&Region::new("ap-guangzhou"), image(id, &format!("by-hand-{n}"), ImageKind::Private));
        }
        for config in configs {
            let wanted = desired(&config.yaml());
            let plan = match world.plan(&wanted) {
                Ok(plan) => plan,
                Err(faults) => {
                    prop_assert!(faults.iter().all(|fault| fault.code != codes::SELF_CHECK), "{faults:#?}");
                    continue;
                }
            };
            prop_assert_eq!(check(&plan, &world.input(&wanted)), vec![]);

            // The order of the rows does not matter, and nothing else can.
            let mut other = world.clone();
            other.recorded.objects.reverse();
            other.recorded.versions.reverse();
            prop_assert_eq!(other.plan(&wanted).expect("a plan"), plan.clone());

            for turn in [1, turn] {
                let mut elsewhere = world.clone();
                elsewhere.apply_in_turn(&plan, turn);
                let rest = elsewhere.plan(&wanted).expect("a plan");
                prop_assert!(rest.is_empty(), "{:#?}", rest.changes);
            }
            world.apply(&plan);
            let rest = world.plan(&wanted).expect("a plan");
            prop_assert!(rest.is_empty(), "{:#?}", rest.changes);
        }
    }
}
