//! DescribeImportImageOs and ImportImage (API text 4.10, 4.12 and 8.7).

use super::capture::{Part, insert_snapshots};
use super::{Custom, Op, TAG_CODES, check_description, check_family, check_name};
use crate::cloud::cvm::wire::answers::{DescribeImportImageOsAnswer, ImportImageAnswer};
use crate::cloud::cvm::wire::requests::{DescribeImportImageOs, ImportImage};
use crate::cloud::cvm::wire::shapes::{ImageOsList, OsVersion};
use crate::cloud::embedded::api::Context;
use crate::cloud::embedded::catalogue::{Content, is_finance, is_mainland};
use crate::cloud::embedded::ids::{self, Kind};
use crate::cloud::embedded::imports::{self, ARCHITECTURES, File, LINUX, MAX_GIB, REASONS, System, WINDOWS};
use crate::cloud::embedded::machines::Constitution;
use crate::cloud::embedded::refusal::{Done, refuse, required};
use crate::cloud::embedded::settings::Injection;
use crate::cloud::embedded::{db, quotas, tags};

/// What a file holds where its address does not say.
const LINUX_GIB: i64 = 20;
const WINDOWS_GIB: i64 = 50;
const DATA_GIB: i64 = 10;
/// As many data disks as an instance takes (5.1).
const MAX_DATA_DISKS: usize = 20;

pub(crate) fn systems(_: &mut Context<'_>, _: DescribeImportImageOs) -> Done<DescribeImportImageOsAnswer> {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let version = |system: &System| OsVersion {
        os_name: system.name.to_owned(),
        os_versions: texts(system.versions),
        architecture: texts(system.architectures()),
    };
    Ok(DescribeImportImageOsAnswer {
        import_image_os_list_supported: ImageOsList {
            windows: texts(&WINDOWS),
            linux: LINUX.iter().map(|system| system.name.to_owned()).collect(),
        },
        import_image_os_version_set: std::iter::once(&imports::WINDOWS_VERSIONS).chain(LINUX).map(version).collect(),
        ..DescribeImportImageOsAnswer::default()
    })
}

pub(crate) fn import(cx: &mut Context<'_>, r: ImportImage) -> Done<ImportImageAnswer> {
    let region = cx.region()?.region;
    let architecture = required(r.architecture, "Architecture")?;
    let os_type = required(r.os_type, "OsType")?;
    let os_version = required(r.os_version, "OsVersion")?;
    let url = required(r.image_url, "ImageUrl")?;
    let name = required(r.image_name, "ImageName")?;
    let force = r.force == Some(true);
    if cx.settings.regions_without_import.contains(region) {
        return refuse("RegionAbilityLimit.UnsupportedToImportImage", format!("{region} imports no images"));
    }
    if !ARCHITECTURES.contains(&architecture.as_str()) {
        return refuse("InvalidParameterValue", format!("`{architecture}` is none of {}", ARCHITECTURES.join(", ")));
    }
    let Some(system) = imports::find_system(&os_type) else {
        return refuse("InvalidImageOsType.Unsupported", format!("`{os_type}` cannot be imported"));
    };
    // No code is named for a system that does not run on the architecture; it is the version of it that is not there.
    if !system.versions.contains(&os_version.as_str()) || !system.architectures().contains(&architecture.as_str()) {
        let text = format!("{os_type} `{os_version}` for {architecture} cannot be imported");
        return refuse("InvalidImageOsVersion.Unsupported", text);
    }
    let file = cos_file(&url, region)?;
    if file.is_iso() && !force {
        return refuse("InvalidParameterValue.ISOMustImportByForce", "an ISO file takes Force");
    }
    let data = r.import_image_data_disk_list.unwrap_or_default();
    if data.len() > MAX_DATA_DISKS {
        return refuse("InvalidParameterValue.TooLarge", format!("at most {MAX_DATA_DISKS} data disks"));
    }
    let data_urls: Vec<String> =
        data.into_iter().map(|disk| required(disk.image_url, "ImageUrl")).collect::<Done<_>>()?;
    let data: Vec<File<'_>> = data_urls.iter().map(|url| cos_file(url, region)).collect::<Done<_>>()?;
    let byol = match r.license_type.as_deref() {
        None | Some("TencentCloud") => false,
        Some("BYOL") => true,
        Some(other) => {
            return refuse("InvalidParameterValue.InvalidLicenseType", format!("there is no licence type `{other}`"));
        }
    };
    if !matches!(r.boot_mode.as_deref(), None | Some("Legacy BIOS" | "UEFI")) {
        return refuse("InvalidParameterValue.InvalidBootMode", "BootMode is `Legacy BIOS` or `UEFI`");
    }
    let description = r.image_description.unwrap_or_default();
    check_description(&description)?;
    let family = r.image_family.unwrap_or_default();
    check_family(&family)?;
    check_name(cx, &name, region, None)?;
    quotas::room_for_image(cx, region)?;
    let quota = [("InvalidParameterValue.TagQuotaLimitExceeded", "LimitExceeded")];
    let tags = tags::specified(cx, r.tag_specification, "image").map_err(|r| r.by(&TAG_CODES).by(&quota))?;
    if r.dry_run == Some(true) {
        return cx.dry_run();
    }
    let windows = WINDOWS.contains(&os_type.as_str());
    let size = |file: &File<'_>, fallback: i64| file.size_gib.unwrap_or(fallback);
    let system_gib = size(&file, if windows { WINDOWS_GIB } else { LINUX_GIB });
    let struck = cx.strike(|i| matches!(i, Injection::ImportFails { name: wanted, .. } if *wanted == name));
    let reason = match struck {
        Some(Injection::ImportFails { reason, .. }) => Some(reason),
        _ if cx.fails_later(|_| false) => Some("the file could not be read to its end".to_owned()),
        _ => std::iter::once(&file)
            .chain(&data)
            .find_map(|file| failure(file, windows || force))
            .map(|reason| reason.to_owned()),
    };
    let bits = match architecture.as_str() {
        "i386" => "32bit",
        "arm_64" => "ARM64",
        _ => "64bit",
    };
    let n = db::take_numbers(cx.db, Kind::Image, 1)?;
    let until = cx.now + cx.takes(cx.settings.pace.import_ms, n);
    let image = Custom {
        n,
        account: cx.account,
        region: region.to_owned(),
        name,
        description,
        family,
        deprecated: false,
        created_ms: cx.now,
        size: system_gib,
        whole: !data.is_empty(),
        content: Content {
            os_name: if windows { format!("{os_type} {bits}") } else { format!("{os_type} {os_version} {bits}") },
            platform: if windows { "Windows" } else { os_type.as_str() }.to_owned(),
            architecture: if architecture == "arm_64" { "arm".to_owned() } else { architecture },
            images: Vec::new(),
            provisioned: Vec::new(),
            fee_micros_per_hour: 0,
            imported: true,
            byol,
            no_cloudinit: !windows && file.reason == Some("CloudInitNotInstalled"),
            baked: Constitution::default(),
        },
        op: Op::Import,
        op_start: cx.now,
        op_until: until,
        op_error: reason,
        gone_ms: None,
        hidden: cx.lists_late(),
        imported: true,
        encrypted: false,
    };
    image.insert(cx.db)?;
    let mut parts = vec![Part { usage: "SYSTEM_DISK", size: system_gib }];
    parts.extend(data.iter().map(|file| Part { usage: "DATA_DISK", size: size(file, DATA_GIB) }));
    insert_snapshots(cx, &image, &parts)?;
    tags::attach(cx, ids::resource(Kind::Image, n), region, &tags)?;
    let image_id = cx.settings.import_answers_id.then(|| image.id(cx.seed));
    Ok(ImportImageAnswer { image_id, ..ImportImageAnswer::default() })
}

/// A file that an import into the region can read (8.7).
fn cos_file<'a>(url: &'a str, region: &str) -> Done<File<'a>> {
    const CODE: &str = "InvalidParameter.InvalidParameterUrlError";
    let Some(file) = imports::read(url) else {
        let text = "the address is no COS link: https://<bucket>-<number>.cos.<region>.myqcloud.com/<path>";
        return refuse(CODE, text);
    };
    if file.region != region && (is_finance(region) || !is_mainland(region)) {
        return refuse(CODE, format!("an import into {region} takes a bucket of that region, not of {}", file.region));
    }
    Ok(file)
}

/// Why the import of a file fails, where it does.
fn failure(file: &File<'_>, needs_no_cloudinit: bool) -> Option<&'static str> {
    let [_, invalid_format_size, ..] = REASONS;
    match file.reason {
        Some("CloudInitNotInstalled") if needs_no_cloudinit => {}
        Some(reason) => return Some(reason),
        None => {}
    }
    let fits = file.is_disk() && file.size_gib.is_none_or(|size| (1..=MAX_GIB).contains(&size));
    (!fits).then_some(invalid_format_size)
}
