//! Tags, at creation and by the tag service (API text 7).

use fleetwright::cloud::embedded::{Injection, Settings};
use serde_json::{Value, json};

use crate::world::{GZ, SH, World, instant, uin, with};

fn name(id: &str) -> String {
    let prefix = if id.starts_with("img-") { "image" } else { "instance" };
    format!("qcs::cvm:{GZ}:uin/{}:{prefix}/{id}", uin(1))
}

fn tag(key: &str, value: &str) -> Value {
    json!({"TagKey": key, "TagValue": value})
}

#[test]
fn tags_of_a_launch_are_there_and_found() {
    let world = World::new(instant());
    let spec = json!({"TagSpecification": [{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": "web"}]}]});
    let ids = world.launch(3, spec);
    assert_eq!(world.instance(&ids[0])["Tags"], json!([{"Key": "app", "Value": "web"}]));
    world.launch(2, json!({}));
    let count = |filters| world.must("DescribeInstances", json!({"Filters": filters}))["TotalCount"].clone();
    assert_eq!(count(json!([{"Name": "tag:app", "Values": ["web"]}])), 3);
    assert_eq!(count(json!([{"Name": "tag:app", "Values": ["db"]}])), 0);
    assert_eq!(count(json!([{"Name": "tag-key", "Values": ["app"]}])), 3);
    assert_eq!(count(json!([{"Name": "tag-value", "Values": ["web"]}])), 3);
    assert_eq!(count(json!([{"Name": "zone", "Values": ["ap-guangzhou-3"]}])), 5);
    assert_eq!(
        count(json!([{"Name": "zone", "Values": ["ap-guangzhou-4"]}, {"Name": "tag:app", "Values": ["web"]}])),
        0
    );
    assert_eq!(count(json!([{"Name": "instance-state", "Values": ["RUNNING"]}])), 5);
    assert_eq!(count(json!([{"Name": "instance-name", "Values": ["web1", "web2"]}])), 4);
    world.must("TerminateInstances", json!({"InstanceIds": ids}));
    let filter = json!({"Filters": [{"Name": "tag:app", "Values": ["web"]}]});
    assert_eq!(world.code("DescribeInstances", filter), "InvalidParameterValue.TagKeyNotFound");
}

#[test]
fn tags_that_cannot_be_have_their_codes() {
    let world = World::new(instant());
    let launch =
        |tags: Value| with(json!({"TagSpecification": [{"ResourceType": "instance", "Tags": tags}], "DryRun": true}));
    world.table(
        "RunInstances",
        &[
            (
                launch(json!([{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}])),
                "InvalidParameterValue.DuplicateTags",
            ),
            (launch(json!([{"Key": "qcloud:x", "Value": "1"}])), "FailedOperation.TagKeyReserved"),
            (launch(json!([{"Key": "a#b", "Value": "1"}])), "FailedOperation.IllegalTagKey"),
            (launch(json!([{"Key": "a", "Value": "1|2"}])), "FailedOperation.IllegalTagValue"),
            (launch(json!([{"Key": "a"}])), "MissingParameter"),
            (with(json!({"TagSpecification": [{"ResourceType": "image", "Tags": []}]})), "InvalidParameterValue"),
            (launch(json!([{"Key": "fleetwright", "Value": "shop/default/fleet.web"}])), "ok"),
        ],
    );
    let old = World::new(Settings { tag_key_created_at_launch: false, ..instant() });
    let body = with(json!({"TagSpecification": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}]}]}));
    assert_eq!(old.code("RunInstances", body.clone()), "InvalidParameterValue.TagKeyNotFound");
    let id = old.launch(1, json!({}))[0].clone();
    old.must("TagResources", json!({"ResourceList": [name(&id)], "Tags": [tag("a", "1")]}));
    assert_eq!(old.code("RunInstances", body), "ok");
}

#[test]
fn the_tag_service_binds_changes_and_unbinds() {
    let world = World::new(instant());
    let id = world.launch(1, json!({}))[0].clone();
    let image = world.capture(&id, "golden");
    let both = [name(&id), name(&image).replace(&uin(1), "")];
    let answer =
        world.must_as(1, "", "TagResources", json!({"ResourceList": both, "Tags": [tag("a", "1"), tag("b", "2")]}));
    assert_eq!(answer["FailedResources"], json!([]));
    world.must("TagResources", json!({"ResourceList": [both[0]], "Tags": [tag("a", "3")]}));
    assert_eq!(world.instance(&id)["Tags"], json!([{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]));
    assert_eq!(world.image(&image)["Tags"].as_array().map(Vec::len), Some(2));
    let found = world.must("DescribeImages", json!({"Filters": [{"Name": "tag:a", "Values": ["1"]}]}));
    assert_eq!(found["TotalCount"], 1);
    world.must("UnTagResources", json!({"ResourceList": both, "TagKeys": ["a", "none"]}));
    assert_eq!(world.instance(&id)["Tags"], json!([{"Key": "b", "Value": "2"}]));
    let seen = world.instance(&id);
    let disk = format!("qcs::cvm:{GZ}:uin/:volume/{}", seen["SystemDisk"]["DiskId"].as_str().expect("id"));
    let answer = world.must("TagResources", json!({"ResourceList": [disk], "Tags": [tag("a", "1")]}));
    assert_eq!(answer["FailedResources"], json!([]));
}

#[test]
fn requests_to_the_tag_service_are_checked() {
    let world = World::new(instant());
    let id = world.launch(1, json!({}))[0].clone();
    let body = |list: Value, tags: Value| json!({"ResourceList": list, "Tags": tags});
    let one = json!([name(&id)]);
    let a = json!([tag("a", "1")]);
    let many: Vec<Value> = (0..11).map(|n| tag(&format!("k{n}"), "1")).collect();
    world.table(
        "TagResources",
        &[
            (json!({"Tags": a}), "MissingParameter"),
            (json!({"ResourceList": one}), "MissingParameter"),
            (body(json!([]), a.clone()), "MissingParameter"),
            (body(json!(vec![name(&id); 11]), a.clone()), "LimitExceeded.ResourceNumPerRequest"),
            (body(one.clone(), json!(many)), "LimitExceeded.TagNumPerRequest"),
            (body(json!([id]), a.clone()), "InvalidParameterValue.ResourceDescriptionError"),
            (
                body(json!([name(&id).replace("qcs::cvm", "qcs::cdb")]), a.clone()),
                "InvalidParameter.UnsupportedService",
            ),
            (body(one.clone(), json!([tag("", "1")])), "InvalidParameterValue.TagKeyEmpty"),
            (body(one.clone(), json!([tag("a", "")])), "InvalidParameterValue.TagValueEmpty"),
            (body(one.clone(), json!([tag(&"k".repeat(128), "1")])), "InvalidParameterValue.TagKeyLengthExceeded"),
            (body(one.clone(), json!([tag("a", &"v".repeat(256))])), "InvalidParameterValue.TagValueLengthExceeded"),
            (body(one.clone(), json!([tag("a*", "1")])), "InvalidParameterValue.TagKeyCharacterIllegal"),
            (body(one.clone(), json!([tag("a", "1*")])), "InvalidParameterValue.TagValueCharacterIllegal"),
            (body(one.clone(), json!([tag("a", "1"), tag("a", "2")])), "InvalidParameterValue.TagKeyDuplicate"),
            (body(one.clone(), json!([tag("Tencent", "1")])), "InvalidParameter.ReservedTagKey"),
            (body(one.clone(), json!([tag("环境", "生产")])), "ok"),
        ],
    );
    world.table(
        "UnTagResources",
        &[
            (json!({"ResourceList": one}), "MissingParameter"),
            (json!({"ResourceList": one, "TagKeys": []}), "MissingParameter"),
            (json!({"ResourceList": one, "TagKeys": [""]}), "InvalidParameterValue.TagKeyEmpty"),
            (json!({"ResourceList": one, "TagKeys": ["a", "a"]}), "InvalidParameterValue.TagKeyDuplicate"),
        ],
    );
}

#[test]
fn what_could_not_be_tagged_is_named() {
    let world = World::new(instant());
    let ids = world.launch(2, json!({}));
    world
        .cloud
        .inject(Injection::TagFails { id: ids[1].clone(), code: "FailedOperation.ResourceTagProcessing".into() });
    let foreign = name(&ids[0]).replace(&uin(1), &uin(2));
    let elsewhere = name(&ids[0]).replace(GZ, SH);
    let list = [name(&ids[0]), name(&ids[1]), name("ins-00000000"), foreign, elsewhere];
    let answer = world.must("TagResources", json!({"ResourceList": list, "Tags": [tag("a", "1")]}));
    let failed: Vec<(&str, &str)> = answer["FailedResources"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|f| (f["Resource"].as_str().expect("text"), f["Code"].as_str().expect("text")))
        .collect();
    assert_eq!(
        failed,
        [
            (list[1].as_str(), "FailedOperation.ResourceTagProcessing"),
            (list[2].as_str(), "ResourceNotFound"),
            (list[3].as_str(), "ResourceNotFound"),
            (list[4].as_str(), "ResourceNotFound"),
        ]
    );
    assert_eq!(world.instance(&ids[0])["Tags"].as_array().map(Vec::len), Some(1));
    for chunk in 0..5 {
        let tags: Vec<Value> = (0..10).map(|n| tag(&format!("k{chunk}{n}"), "1")).collect();
        let answer = world.must("TagResources", json!({"ResourceList": [list[1]], "Tags": tags}));
        assert_eq!(answer["FailedResources"], json!([]));
    }
    let answer = world.must("TagResources", json!({"ResourceList": [list[1]], "Tags": [tag("more", "1")]}));
    assert_eq!(answer["FailedResources"][0]["Code"], "LimitExceeded.ResourceAttachedTags");
}
