use std::collections::BTreeSet;

use super::*;
use crate::cloud::call::{Executed, StepId};
use crate::model::digest::{SecretKey, SecretSource};
use crate::model::ids::{ImageId, InstanceId, KeyId, Lineage, Uin, Zone};
use crate::model::spec::{DataDisk, Internet, InternetCharge, SlotNetwork, SystemDisk};
use serde_json::{Value, json};

struct Read(Result<Vec<u8>, String>);

impl Secrets for Read {
    fn read(&self, _: &SecretRef) -> Result<Vec<u8>, String> {
        self.0.clone()
    }
}

fn call(body: Body) -> Call {
    Call { account: Uin::new("100000000001"), region: Region::new("ap-guangzhou"), body }
}

fn sent(body: Body) -> Value {
    let out = encode(&call(body), &Read(Ok(b"#!/bin/sh\n".to_vec()))).expect("encoded");
    serde_json::from_slice(&out.body).expect("JSON")
}

fn secret() -> SecretRef {
    SecretKey::of(&Lineage::new("l")).refer(SecretSource::File("web.sh".to_owned()), b"hunter2")
}

fn launch(count: u32) -> Launch {
    Launch {
        name_prefix: "shop-default-web-3-".to_owned(),
        first_ordinal: 7,
        count,
        token: Some("t".to_owned()),
        ..Launch::of(Zone::new("ap-guangzhou-3"), Arg::Known(ImageId::new("img-1")), "S5.MEDIUM4".into())
    }
}

#[test]
fn one_instance_has_a_plain_name_and_nothing_undeclared() {
    assert_eq!(
        sent(Body::RunInstances(Box::new(launch(1)))),
        json!({
            "InstanceChargeType": "POSTPAID_BY_HOUR",
            "Placement": {"Zone": "ap-guangzhou-3"},
            "ImageId": "img-1",
            "InstanceType": "S5.MEDIUM4",
            "InstanceCount": 1,
            "InstanceName": "shop-default-web-3-7",
            "ClientToken": "t",
        })
    );
}

#[test]
fn several_instances_count_up_in_their_names_and_carry_all_that_is_declared() {
    let declared = Launch {
        system_disk: SystemDisk { kind: Some("CLOUD_PREMIUM".into()), size_gib: Some(60) },
        data_disks: vec![DataDisk { kind: "CLOUD_SSD".into(), size_gib: 100 }],
        network: SlotNetwork {
            subnet: Some(("vpc-1".into(), "subnet-1".into())),
            security_groups: Some(BTreeSet::from(["sg-1".into()])),
        },
        internet: Some(Internet { charge: InternetCharge::TrafficPostpaidByHour, bandwidth_mbps: 5, public_ip: true }),
        login: Login::Keys(BTreeSet::from([KeyId::new("skey-1")])),
        tags: Tags::from([("app".to_owned(), "web".to_owned())]),
        user_data: Some(secret()),
        ..launch(20)
    };
    let sent = sent(Body::RunInstances(Box::new(declared)));
    assert_eq!(sent["InstanceName"], "shop-default-web-3-{R:7}");
    assert_eq!(sent["InstanceCount"], 20);
    assert_eq!(sent["SystemDisk"], json!({"DiskType": "CLOUD_PREMIUM", "DiskSize": 60}));
    assert_eq!(sent["DataDisks"], json!([{"DiskType": "CLOUD_SSD", "DiskSize": 100}]));
    assert_eq!(sent["VirtualPrivateCloud"], json!({"VpcId": "vpc-1", "SubnetId": "subnet-1"}));
    assert_eq!(sent["SecurityGroupIds"], json!(["sg-1"]));
    assert_eq!(
        sent["InternetAccessible"],
        json!({"InternetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "InternetMaxBandwidthOut": 5, "PublicIpAssigned": true})
    );
    assert_eq!(sent["LoginSettings"], json!({"KeyIds": ["skey-1"]}));
    let tags = json!([{"ResourceType": "instance", "Tags": [{"Key": "app", "Value": "web"}]}]);
    assert_eq!(sent["TagSpecification"], tags);
    assert_eq!(sent["UserData"], "IyEvYmluL3NoCg==");
}

#[test]
fn a_secret_that_cannot_be_read_sends_nothing() {
    let body = Body::ResetInstance {
        instance: "ins-1".into(),
        image: Arg::Known("img-1".into()),
        with: Box::new(Installation {
            login: Login::KeepImage,
            user_data: Some(secret()),
            system_disk_gib: None,
            hostname: None,
        }),
    };
    let fault = encode(&call(body.clone()), &Read(Err("it has changed".to_owned()))).err().expect("a fault");
    assert_eq!((fault.class, fault.executed, &fault.code), (Class::Invalid, Executed::No, &None));
    assert_eq!(fault.message, "user data from web.sh: it has changed");
    let sent = sent(body);
    assert_eq!(sent["LoginSettings"], json!({"KeepImageLogin": "true"}));
    assert_eq!(sent.get("SystemDisk"), None);
}

#[test]
fn an_output_that_nobody_filled_in_sends_nothing() {
    let output = || Arg::Output { step: StepId(3), target: 0 };
    let waiting = [
        Body::RunInstances(Box::new(Launch { image: output(), ..launch(1) })),
        Body::CreateImage {
            name: "n".to_owned(),
            instance: Arg::Output { step: StepId(3), target: 0 },
            power_off: true,
            description: None,
            tags: Tags::new(),
            family: None,
        },
        Body::SyncImages { image: output(), to: BTreeSet::new(), name: "n".to_owned(), encryption: None },
        Body::ShareImage { image: output(), accounts: BTreeSet::new(), cancel: false },
        Body::TagResources {
            resources: vec![TagTarget {
                region: "ap-guangzhou".into(),
                id: Arg::Output { step: StepId(3), target: 0 },
            }],
            tags: Tags::new(),
        },
    ];
    for body in waiting {
        let fault = encode(&call(body), &Read(Ok(Vec::new()))).err().expect("a fault");
        assert_eq!((fault.class, fault.executed), (Class::Invalid, Executed::No));
        assert!(fault.message.contains("step 3"), "{}", fault.message);
    }
}

#[test]
fn image_calls_say_what_the_api_would_otherwise_default() {
    let body = Body::CreateImage {
        name: "n".to_owned(),
        instance: Arg::Known("ins-1".into()),
        power_off: false,
        description: Some("d".to_owned()),
        tags: Tags::from([("fleetwright".to_owned(), "p/e/image.web".to_owned())]),
        family: None,
    };
    let tags = json!([{"ResourceType": "image", "Tags": [{"Key": "fleetwright", "Value": "p/e/image.web"}]}]);
    assert_eq!(
        sent(body),
        json!({"ImageName": "n", "InstanceId": "ins-1", "ImageDescription": "d", "ForcePoweroff": "false", "TagSpecification": tags})
    );
    let to = BTreeSet::from(["ap-beijing".into(), "ap-shanghai".into()]);
    assert_eq!(
        sent(Body::SyncImages { image: Arg::Known("img-1".into()), to, name: "n".to_owned(), encryption: None }),
        json!({"ImageIds": ["img-1"], "DestinationRegions": ["ap-beijing", "ap-shanghai"], "ImageName": "n", "ImageSetRequired": true})
    );
    assert_eq!(
        sent(Body::DeleteImages { images: vec!["img-1".into()] }),
        json!({"ImageIds": ["img-1"], "DeleteBindedSnap": true})
    );
    let share = |cancel| {
        let accounts = BTreeSet::from([Uin::new("100000000002")]);
        sent(Body::ShareImage { image: Arg::Known("img-1".into()), accounts, cancel })
    };
    assert_eq!(share(false), json!({"ImageId": "img-1", "AccountIds": ["100000000002"], "Permission": "SHARE"}));
    assert_eq!(share(true)["Permission"], "CANCEL");
    let stop = Body::StopInstances { instances: vec![Arg::Known("ins-1".into())] };
    assert_eq!(sent(stop), json!({"InstanceIds": ["ins-1"], "StopType": "SOFT_FIRST"}));
}

#[test]
fn tags_name_their_things_in_six_parts_and_no_region() {
    let resources = vec![
        TagTarget { region: "ap-shanghai".into(), id: Arg::Known(CloudId::Image("img-1".into())) },
        TagTarget { region: "ap-guangzhou".into(), id: Arg::Known(CloudId::Instance(InstanceId::new("ins-1"))) },
    ];
    let tags = Tags::from([("k".to_owned(), "v".to_owned())]);
    let body = Body::TagResources { resources: resources.clone(), tags };
    let out = encode(&call(body), &Read(Ok(Vec::new()))).expect("encoded");
    assert_eq!((out.service, out.version, out.region), ("tag", "2018-08-13", None));
    let list = json!([
        "qcs::cvm:ap-shanghai:uin/100000000001:image/img-1",
        "qcs::cvm:ap-guangzhou:uin/100000000001:instance/ins-1"
    ]);
    let sent_tags: Value = serde_json::from_slice(&out.body).expect("JSON");
    assert_eq!(sent_tags, json!({"ResourceList": list, "Tags": [{"TagKey": "k", "TagValue": "v"}]}));
    let untag = Body::UntagResources { resources, keys: BTreeSet::from(["k".to_owned()]) };
    assert_eq!(sent(untag), json!({"ResourceList": list, "TagKeys": ["k"]}));
}

#[test]
fn paged_reads_say_their_limit() {
    let ids = || vec![InstanceId::new("ins-1")];
    let private = json!({"Name": "image-type", "Values": ["PRIVATE_IMAGE"]});
    let paged = [
        (Query::ImagesById { ids: vec!["img-1".into()] }, json!({"ImageIds": ["img-1"], "Limit": 100})),
        (
            Query::ImagesFitting { ids: vec!["img-1".into()], instance_type: "S5.MEDIUM4".into() },
            json!({"ImageIds": ["img-1"], "InstanceType": "S5.MEDIUM4", "Limit": 100}),
        ),
        (Query::CustomImages { offset: 0 }, json!({"Filters": [private], "Limit": 100})),
        (
            Query::CustomImagesNamed { names: vec!["a".to_owned()], offset: 100 },
            json!({"Filters": [private, {"Name": "image-name", "Values": ["a"]}], "Offset": 100, "Limit": 100}),
        ),
        (
            Query::PublicImages { name: "Ubuntu".to_owned(), instance_type: Some("S5.MEDIUM4".into()), offset: 0 },
            json!({"Filters": [{"Name": "image-type", "Values": ["PUBLIC_IMAGE"]}, {"Name": "image-name", "Values": ["Ubuntu"]}], "Limit": 100, "InstanceType": "S5.MEDIUM4"}),
        ),
        (Query::InstancesById { ids: ids() }, json!({"InstanceIds": ["ins-1"], "Limit": 100})),
        (Query::Instances { offset: 0 }, json!({"Limit": 100})),
        (Query::Instances { offset: 100 }, json!({"Offset": 100, "Limit": 100})),
        (
            Query::InstancesTagged { key: "k".to_owned(), value: "v".to_owned(), offset: 0 },
            json!({"Filters": [{"Name": "tag:k", "Values": ["v"]}], "Limit": 100}),
        ),
        (Query::InstanceStates { ids: ids() }, json!({"InstanceIds": ["ins-1"], "Limit": 100})),
    ];
    for (query, expected) in paged {
        assert_eq!(sent(Body::Describe(query)), expected);
    }
    assert_eq!(
        sent(Body::Describe(Query::UserData { ids: ids() })),
        json!({"InstanceIds": ["ins-1"], "Attributes": ["UserData"]})
    );
    assert_eq!(sent(Body::Describe(Query::Regions)), json!({}));
}

#[test]
fn the_action_is_the_one_that_the_body_names() {
    for query in [Query::Regions, Query::Zones, Query::Types, Query::ImageQuota, Query::AccountQuota] {
        let call = call(Body::Describe(query));
        let out = encode(&call, &Read(Ok(Vec::new()))).expect("encoded");
        assert_eq!(out.action, call.body.action());
        assert_eq!(out.region.as_ref(), Some(&call.region));
    }
}
