use super::*;
use crate::cloud::call::{Arg, Class, Executed, Launch};
use crate::cloud::cvm::wire;
use crate::model::update::Address;
use proptest::prelude::*;
use serde_json::{Value, json};

fn describe(query: Query) -> Body {
    Body::Describe(query)
}

fn answer_to(body: Body, status: u16, bytes: impl Into<Vec<u8>>) -> Result<Answer, Fault> {
    let call = Call { account: "100000000001".into(), region: "ap-guangzhou".into(), body };
    let response = HttpResponse { status, headers: Vec::new(), body: bytes.into(), cloud_ms: Some(7) };
    decode(&call, &response, 3)
}

fn reply_to(body: Body, mut answer: Value) -> Reply {
    answer["RequestId"] = json!("r");
    answer_to(body, 200, json!({ "Response": answer }).to_string()).expect("an answer").reply
}

fn share() -> Body {
    Body::ShareImage { image: Arg::Known("img-1".into()), accounts: BTreeSet::new(), cancel: false }
}

#[test]
fn an_instance_with_everything_is_read() {
    let instance = json!({
        "Placement": {"Zone": "ap-guangzhou-3", "ProjectId": 0}, "InstanceId": "ins-1", "InstanceType": "S5.MEDIUM4",
        "InstanceName": "w\u{e9}b \"1\"", "InstanceChargeType": "POSTPAID_BY_HOUR", "InstanceState": "RUNNING",
        "SystemDisk": {"DiskType": "CLOUD_PREMIUM", "DiskId": "disk-1", "DiskSize": 50},
        "DataDisks": [{"DiskType": "CLOUD_SSD", "DiskId": "", "DiskSize": 100}],
        "PrivateIpAddresses": ["10.0.0.1"], "PublicIpAddresses": ["1.2.3.4"],
        "InternetAccessible": {"InternetChargeType": "TRAFFIC_POSTPAID_BY_HOUR", "InternetMaxBandwidthOut": 5},
        "VirtualPrivateCloud": {"VpcId": "vpc-1", "SubnetId": "subnet-1"}, "ImageId": "img-1",
        "CreatedTime": "2020-09-22T00:00:00+00:00", "SecurityGroupIds": ["sg-1"],
        "LoginSettings": {"KeyIds": ["skey-1"]}, "Tags": [{"Key": "a", "Value": "b"}],
        "LatestOperation": "ResetInstance", "LatestOperationState": "FAILED", "LatestOperationRequestId": "q",
        "LatestOperationErrorMsg": "no", "DisableApiTermination": true, "SomethingNew": {"x": [1]},
    });
    let reply =
        reply_to(describe(Query::InstancesById { ids: vec![] }), json!({"TotalCount": 1, "InstanceSet": [instance]}));
    let disk = |id: Option<&str>, kind: &str, size_gib| Disk { id: id.map(Into::into), kind: kind.into(), size_gib };
    let expected = Instance {
        id: "ins-1".into(),
        name: "w\u{e9}b \"1\"".to_owned(),
        state: InstanceState::Running,
        instance_type: "S5.MEDIUM4".into(),
        zone: "ap-guangzhou-3".into(),
        image: "img-1".into(),
        system_disk: disk(Some("disk-1"), "CLOUD_PREMIUM", 50),
        data_disks: vec![disk(None, "CLOUD_SSD", 100)],
        vpc: "vpc-1".into(),
        subnet: "subnet-1".into(),
        security_groups: Arc::new(BTreeSet::from(["sg-1".into()])),
        keys: Arc::new(BTreeSet::from(["skey-1".into()])),
        charge_type: "POSTPAID_BY_HOUR".into(),
        internet_charge: Some("TRAFFIC_POSTPAID_BY_HOUR".into()),
        bandwidth_mbps: 5,
        addresses: vec!["10.0.0.1".into(), "1.2.3.4".into()],
        private_addresses: 1,
        created_ms: 1_600_732_800_000,
        latest: Some(LatestOperation {
            name: "ResetInstance".into(),
            state: OperationState::Failed,
            request_id: Some("q".into()),
            error: Some("no".to_owned()),
        }),
        protected: true,
        tags: Arc::new(BTreeMap::from([("a".to_owned(), "b".to_owned())])),
        renew: None,
        expires_ms: None,
        hostname: None,
        placement_group: None,
        cam_role: None,
        isolated: None,
    };
    let kinds = [Address::Private, Address::Public];
    assert_eq!(kinds.map(|kind| expected.address(kind).map(Label::as_str)), [Some("10.0.0.1"), Some("1.2.3.4")]);
    assert_eq!(kinds.map(|kind| Instance::sample("ins-2").address(kind).cloned()), [None, None]);
    assert_eq!(reply, Reply::Instances(Page { total: 1, items: vec![expected] }));
}

#[test]
fn null_absent_and_new_values_are_no_trouble() {
    let nulls = json!({
        "InstanceId": "ins-1", "InstanceState": "DREAMING", "PublicIpAddresses": null, "Tags": null, "Placement": null,
        "LatestOperation": null, "LatestOperationState": null, "DataDisks": null, "LoginSettings": null,
        "CreatedTime": null, "InternetAccessible": null, "DisableApiTermination": null, "SystemDisk": {"DiskSize": null},
    });
    let reply =
        reply_to(describe(Query::InstancesById { ids: vec![] }), json!({"TotalCount": 1, "InstanceSet": [nulls]}));
    let Reply::Instances(page) = reply else { panic!("{reply:?}") };
    assert_eq!(page.items[0].state, InstanceState::Other("DREAMING".to_owned()));
    assert_eq!((page.items[0].latest.as_ref(), page.items[0].created_ms), (None, 0));

    let image = json!({"ImageId": "img-1", "ImageState": "USING", "ImageType": "MARKET_IMAGE", "SnapshotSet": null,
        "CreatedTime": "2024-01-02T03:04:05Z", "ImageDescription": null, "ImageDeprecated": null, "SyncPercent": null});
    let reply =
        reply_to(describe(Query::CustomImages { offset: 0 }), json!({"TotalCount": 3, "ImageSet": [image, {}]}));
    let Reply::Images(page) = reply else { panic!("{reply:?}") };
    assert_eq!((page.total, page.items.len()), (3, 2));
    assert_eq!(page.items[0].state, ImageState::Other("USING".to_owned()));
    assert_eq!(page.items[0].kind, ImageKind::Market);
    assert_eq!((page.items[0].created_ms, page.items[0].sync_percent), (1_704_164_645_000, None));
    let empty = reply_to(describe(Query::CustomImages { offset: 0 }), json!({"ImageSet": null}));
    assert_eq!(empty, Reply::Images(Page { total: 0, items: vec![] }));
}

#[test]
fn texts_that_repeat_in_a_page_share_their_bytes() {
    let one = |n: u32| {
        json!({
            "InstanceId": format!("ins-{n}"), "ImageId": "img-1", "InstanceType": "S5.SOMETHING-VERY-LONG",
            "SecurityGroupIds": ["sg-1"], "LoginSettings": {"KeyIds": ["skey-1"]},
            "Tags": [{"Key": "app", "Value": "web"}],
        })
    };
    let reply = reply_to(
        describe(Query::InstancesById { ids: vec![] }),
        json!({"TotalCount": 2, "InstanceSet": [one(1), one(2)]}),
    );
    let Reply::Instances(page) = reply else { panic!("{reply:?}") };
    let [one, other] = page.items.as_slice() else { panic!("{page:?}") };
    assert_eq!(one.instance_type.as_str().as_ptr(), other.instance_type.as_str().as_ptr());
    assert!(Arc::ptr_eq(&one.security_groups, &other.security_groups));
    assert!(Arc::ptr_eq(&one.keys, &other.keys));
    assert!(Arc::ptr_eq(&one.tags, &other.tags));
}

#[test]
fn writes_answer_with_ids_copies_and_refusals() {
    let run = || {
        let image = Arg::Known("img-1".into());
        Body::RunInstances(Box::new(Launch::of("ap-guangzhou-3".into(), image, "S5.MEDIUM4".into())))
    };
    assert_eq!(
        reply_to(run(), json!({"InstanceIdSet": ["ins-1"]})),
        Reply::Ids(vec![CloudId::Instance("ins-1".into())])
    );
    let create = || Body::CreateImage {
        name: "n".to_owned(),
        instance: Arg::Known("ins-1".into()),
        power_off: true,
        description: None,
        tags: BTreeMap::new(),
        family: None,
    };
    assert_eq!(reply_to(create(), json!({"ImageId": "img-1"})), Reply::Ids(vec![CloudId::Image("img-1".into())]));
    for (body, empty) in [(run(), json!({"RequestId": "r"})), (create(), json!({"ImageId": null, "RequestId": "r"}))] {
        let fault = answer_to(body, 200, json!({ "Response": empty }).to_string()).expect_err("no ids");
        assert_eq!((fault.class, fault.executed), (Class::Transport, Executed::Unknown));
        assert_eq!(fault.request_id, Some("r".into()));
    }
    let sync = Body::SyncImages {
        image: Arg::Known("img-1".into()),
        to: BTreeSet::new(),
        name: "n".to_owned(),
        encryption: None,
    };
    assert_eq!(
        reply_to(sync, json!({"ImageSet": [{"ImageId": "img-2", "Region": "ap-shanghai"}]})),
        Reply::Copies(vec![("ap-shanghai".into(), "img-2".into())])
    );
    let tag = Body::TagResources { resources: vec![], tags: BTreeMap::new() };
    let failed = json!([{"Resource": "qcs::cvm:r:uin/1:image/img-1", "Code": "c", "Message": "m"}]);
    let failure = TagFailure { id: "img-1".to_owned(), code: "c".to_owned(), message: "m".to_owned() };
    assert_eq!(reply_to(tag, json!({ "FailedResources": failed })), Reply::Tagged { failed: vec![failure] });
    assert_eq!(reply_to(share(), json!({})), Reply::Done);
}

#[test]
fn small_reads_are_read() {
    let regions = json!({"RegionSet": [{"Region": "a", "RegionState": "AVAILABLE"}]});
    assert_eq!(reply_to(describe(Query::Regions), regions), Reply::Regions(BTreeSet::from(["a".into()])));
    let zones =
        json!({"ZoneSet": [{"Zone": "a-1", "ZoneState": "AVAILABLE"}, {"Zone": "a-2", "ZoneState": "UNAVAILABLE"}]});
    let expected = BTreeMap::from([("a-1".into(), true), ("a-2".into(), false)]);
    assert_eq!(reply_to(describe(Query::Zones), zones), Reply::Zones(expected));
    let types = json!({"InstanceTypeConfigSet": [{"Zone": "a-1", "InstanceType": "T", "CPU": 2, "Memory": 4}]});
    let expected = BTreeMap::from([(("a-1".into(), "T".into()), TypeSeen { cpu: 2, memory_gib: 4 })]);
    assert_eq!(reply_to(describe(Query::Types), types), Reply::Types(expected));
    let quota = json!({"AccountQuotaOverview": {"Region": "a", "AccountQuota": {
        "PostPaidQuotaSet": [{"Zone": "a-1", "UsedQuota": 3, "RemainingQuota": 7, "TotalQuota": 10}],
        "ImageQuotaSet": [{"UsedQuota": 1, "TotalQuota": 5}], "PrePaidQuotaSet": null,
        "SpotPaidQuotaSet": [{"Zone": "a-1", "UsedQuota": 2, "RemainingQuota": 6, "TotalQuota": 8}]}}});
    let expected = Reply::AccountQuota {
        images: Some(Quota { used: 1, total: 5 }),
        instances: BTreeMap::from([("a-1".into(), Quota { used: 3, total: 10 })]),
        prepaid: BTreeMap::new(),
        spot: BTreeMap::from([("a-1".into(), Quota { used: 2, total: 8 })]),
    };
    assert_eq!(reply_to(describe(Query::AccountQuota), quota), expected);
    let shares = json!({"SharePermissionSet": [{"AccountId": "100000000002", "CreatedTime": "x"}]});
    assert_eq!(
        reply_to(describe(Query::Shares { image: "img-1".into() }), shares),
        Reply::Shares(BTreeSet::from(["100000000002".into()]))
    );
    let states = json!({"InstanceStatusSet": [{"InstanceId": "ins-1", "InstanceState": "STOPPED"}]});
    let expected = BTreeMap::from([("ins-1".into(), InstanceState::Stopped)]);
    assert_eq!(reply_to(describe(Query::InstanceStates { ids: vec![] }), states), Reply::States(expected));
    let data = json!({"InstanceSet": [
        {"InstanceId": "ins-1", "Attributes": {"UserData": "aGk="}}, {"InstanceId": "ins-2", "Attributes": null}]});
    let expected = BTreeMap::from([("ins-1".into(), b"hi".to_vec()), ("ins-2".into(), vec![])]);
    assert_eq!(reply_to(describe(Query::UserData { ids: vec![] }), data), Reply::UserData(expected));
}

#[test]
fn a_tag_that_nobody_carries_is_an_empty_list() {
    let refusal = json!({"Response": {"Error": {"Code": "InvalidParameterValue.TagKeyNotFound", "Message": ""}, "RequestId": "r"}});
    let tagged = describe(Query::InstancesTagged { key: "k".to_owned(), value: "v".to_owned(), offset: 0 });
    let answer = answer_to(tagged, 200, refusal.to_string()).expect("an empty list");
    assert_eq!(answer.reply, Reply::Instances(Page { total: 0, items: vec![] }));
}

#[test]
fn refusals_carry_code_class_and_request() {
    let refusal = json!({"Response": {"Error": {"Code": "OverQuota", "Message": "m\u{2026}"}, "RequestId": "r"}});
    let fault = answer_to(share(), 200, refusal.to_string()).expect_err("refused");
    let expected = Fault {
        class: Class::Quota,
        code: Some("OverQuota".to_owned()),
        message: "m\u{2026}".to_owned(),
        request_id: Some("r".into()),
        executed: Executed::No,
        cloud_ms: Some(7),
    };
    assert_eq!(fault, expected);
}

#[test]
fn whatever_is_not_the_services_answer_leaves_a_change_in_doubt() {
    let strange: [(u16, &str); 7] = [
        (502, "<html>bad gateway</html>"),
        (200, ""),
        (200, "<html>"),
        (200, "[]"),
        (200, "{}"),
        (200, r#"{"Response":{}}"#),
        (200, r#"{"Response":{"RequestId":7}}"#),
    ];
    for (status, bytes) in strange {
        let fault = answer_to(share(), status, bytes).expect_err(bytes);
        assert_eq!((fault.class, fault.executed), (Class::Transport, Executed::Unknown), "{bytes}");
        let fault = answer_to(describe(Query::Regions), status, bytes).expect_err(bytes);
        assert_eq!((fault.class, fault.executed), (Class::Transport, Executed::No), "{bytes}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, text in r#"\{"Response":\{("TotalCount":-?[0-9]{1,20},)?"InstanceSet":[\[\{a-z0-9:",\}\]]{0,40}\}\}"#) {
        for body in [describe(Query::InstancesById { ids: vec![] }), share()] {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                prop_assert!(answer_to(body.clone(), 200, bytes).is_err());
            }
        }
    }
}

/// The shared wire types are the other reading of the same text: what they write, this reads.
#[test]
fn what_the_wire_types_write_is_read() {
    let mut answer = wire::answers::DescribeImagesAnswer {
        total_count: 1,
        image_set: vec![wire::shapes::Image {
            image_id: "img-1".to_owned(),
            image_name: "n".to_owned(),
            image_size: 20,
            image_deprecated: Some(true),
            image_family: Some("f".to_owned()),
            sync_percent: Some(40),
            ..wire::shapes::Image::default()
        }],
        ..Default::default()
    };
    wire::Answer::set_request_id(&mut answer, "r".to_owned());
    let bytes = serde_json::to_vec(&wire::Envelope { response: answer }).expect("JSON");
    let answer = answer_to(describe(Query::CustomImages { offset: 0 }), 200, bytes).expect("an answer");
    let Reply::Images(page) = answer.reply else { panic!("{answer:?}") };
    let image = &page.items[0];
    assert_eq!((image.id.as_str(), image.name.as_str(), image.size_gib), ("img-1", "n", 20));
    assert_eq!((image.deprecated, image.family.as_str(), image.sync_percent), (true, "f", Some(40)));
}
