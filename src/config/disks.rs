//! `system_disk` and `data_disks` of a fleet.

use super::context::Context;
use super::language::{self, DISK_TYPES};
use super::node::Node;
use super::read::Value;
use crate::diagnostic::{Place, codes};
use crate::model::ids::DiskType;
use crate::model::spec::{DataDisk, SystemDisk};

/// Beside at most one local disk (RunInstances.DataDisks, API text 5.1).
const MOST_CLOUD_DISKS: usize = 20;
const LARGEST_DISK_GIB: u32 = 32_000;
/// Data disks of this type are no smaller (InvalidParameterValue.CloudSsdDataDiskSizeTooSmall, API text 10.4).
const SSD: &str = "CLOUD_SSD";
const SMALLEST_SSD_GIB: u32 = 100;

fn disk_type(cx: &mut Context<'_>, value: &Value<'_>) -> Option<DiskType> {
    cx.faults.word(value, DISK_TYPES, &[]).map(DiskType::new)
}

pub(super) fn system_disk(cx: &mut Context<'_>, value: &Value<'_>) -> Option<SystemDisk> {
    let fields = cx.faults.fields(value, &language::DISK)?;
    let kind = fields.get("type").map_or(Some(None), |value| disk_type(cx, &value).map(Some));
    let size = fields.get("size").map_or(Some(None), |value| cx.faults.number(&value, 1, LARGEST_DISK_GIB).map(Some));
    Some(SystemDisk { kind: kind?, size_gib: size? })
}

pub(super) fn data_disks(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Vec<DataDisk>> {
    let items = cx.faults.list(value)?;
    let local =
        |item: &&Value<'_>| item.node.get("type").and_then(Node::raw).is_some_and(|kind| kind.starts_with("LOCAL_"));
    let mut locals = items.iter().filter(local);
    if let (Some(first), Some(second)) = (locals.next(), locals.next()) {
        cx.tell(
            second
                .fault(codes::INVALID_VALUE, "a second local data disk")
                .related(Place::Span(first.node.span), "the first")
                .why("an instance takes at most one local data disk")
                .help("use a cloud disk, such as `type: CLOUD_PREMIUM`"),
        );
    }
    let cloud = items.iter().filter(|item| !local(item)).count();
    if cloud > MOST_CLOUD_DISKS {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, format!("{cloud} data disks are too many"))
                .why(format!("an instance takes at most {MOST_CLOUD_DISKS} cloud disks, and one local disk"))
                .help("use fewer, larger disks"),
        );
    }
    items.iter().map(|item| data_disk(cx, item)).collect::<Vec<_>>().into_iter().collect()
}

fn data_disk(cx: &mut Context<'_>, value: &Value<'_>) -> Option<DataDisk> {
    let fields = cx.faults.fields(value, &language::DISK)?;
    let kind = fields.need("type", "CLOUD_PREMIUM", &mut cx.faults).and_then(|value| disk_type(cx, &value));
    let size = fields.need("size", "100", &mut cx.faults).and_then(|value| {
        let size = cx.faults.number(&value, 1, LARGEST_DISK_GIB)?;
        if size % 10 != 0 {
            let (below, above) = (size / 10 * 10, size.div_ceil(10) * 10);
            cx.tell(
                value
                    .fault(codes::INVALID_VALUE, format!("a data disk cannot have {size} GiB"))
                    .why("data disks come in steps of 10 GiB")
                    .help(if below == 0 { format!("write {above}") } else { format!("write {below} or {above}") }),
            );
        } else if size < SMALLEST_SSD_GIB && kind.as_ref().is_some_and(|kind| kind.as_str() == SSD) {
            cx.tell(
                value
                    .fault(codes::INVALID_VALUE, format!("a data disk of the type {SSD} cannot have {size} GiB"))
                    .why(format!("such data disks have at least {SMALLEST_SSD_GIB} GiB"))
                    .help(format!("write {SMALLEST_SSD_GIB} or more, or take another type, such as `CLOUD_PREMIUM`")),
            );
        }
        Some(size)
    });
    Some(DataDisk { kind: kind?, size_gib: size? })
}
