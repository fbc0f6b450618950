//! From the table to requests: what is right, and each way in which it can be wrong.

use serde_json::{Value, json};

use super::table::{Action, Kind, Parameter, Table, Try};

/// A request, and what it is to be answered.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Case {
    /// `right`, `left out`, `wrong type`, `wrong value` or `unknown`.
    pub(super) kind: &'static str,
    pub(super) about: String,
    pub(super) body: Value,
    /// A code, or `ok`.
    pub(super) expected: String,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Name(String),
    /// The first entry of a list.
    First,
}

/// A parameter where it stands in a request.
struct Place<'a> {
    path: Vec<Step>,
    kind: &'a Kind,
    required: Option<&'a str>,
    tries: Vec<&'a Try>,
    /// A right request that has everything around it.
    around: Value,
    /// Whether what is around it is refused, however right it is.
    absent: bool,
}

/// All requests of an action, and how many parameters they are about.
pub(super) fn cases(table: &Table, action: &Action) -> (Vec<Case>, usize) {
    let mut cases = vec![case("right", "it", action.base.clone(), "ok")];
    cases.push(case(
        "unknown",
        "Colour",
        put(&action.base, &[Step::Name("Colour".to_owned())], json!("red")),
        "UnknownParameter",
    ));
    let mut parameters = 0;
    for parameter in &action.parameters {
        let mut around = action.base.clone();
        if let Some(Value::Object(more)) = &parameter.with {
            let body = around.as_object_mut().expect("an object");
            body.extend(more.clone());
            body.retain(|_, value| !value.is_null());
        }
        let place = Place {
            path: vec![Step::Name(parameter.name.clone())],
            kind: &parameter.kind,
            required: parameter.required.as_deref(),
            tries: parameter.tries.iter().collect(),
            around,
            absent: false,
        };
        parameters += tried(table, action, &place, &mut cases);
    }
    (cases, parameters)
}

fn case(kind: &'static str, about: &str, body: Value, expected: &str) -> Case {
    Case { kind, about: about.to_owned(), body, expected: expected.to_owned() }
}

fn shown(path: &[Step]) -> String {
    let names = path.iter().filter_map(|step| match step {
        Step::Name(name) => Some(name.as_str()),
        Step::First => None,
    });
    names.collect::<Vec<_>>().join(".")
}

/// The requests about a parameter and what is inside it; how many parameters those are.
fn tried(table: &Table, action: &Action, place: &Place<'_>, cases: &mut Vec<Case>) -> usize {
    let about = shown(&place.path);
    let mut add = |kind, value: Value, expected: &str| {
        cases.push(case(kind, &about, put(&place.around, &place.path, value), expected));
    };
    for value in of_other_types(place.kind) {
        add("wrong type", value, "InvalidParameter");
    }
    let present = at(&place.around, &place.path).filter(|value| !value.is_null()).cloned();
    let sample = present.clone().or_else(|| {
        place.tries.iter().find_map(|tried| match tried {
            Try::Right(value) | Try::Absent(value, _) => Some(value.clone()),
            Try::Wrong(..) | Try::Chars(..) | Try::Count(..) | Try::Range(..) => None,
        })
    });
    let absent = place.absent || place.tries.iter().any(|tried| matches!(tried, Try::Absent(..)));
    if !place.absent {
        for tried in &place.tries {
            match tried {
                Try::Right(value) => add("right", value.clone(), "ok"),
                Try::Absent(value, code) | Try::Wrong(value, code) => add("wrong value", value.clone(), code),
                Try::Chars(most, code) => {
                    add("right", json!("n".repeat(*most)), "ok");
                    add("wrong value", json!("n".repeat(most + 1)), code);
                }
                Try::Count(most, code) => {
                    let one =
                        sample.as_ref().and_then(|list| list.get(0)).unwrap_or_else(|| panic!("{about}: no entry"));
                    add("right", json!(vec![one; *most]), "ok");
                    add("wrong value", json!(vec![one; most + 1]), code);
                }
                Try::Range(least, most, code) => {
                    for right in [least, most] {
                        add("right", json!(right), "ok");
                    }
                    for wrong in [least - 1, most + 1] {
                        add("wrong value", json!(wrong), code);
                    }
                }
            }
        }
        if let Some(code) = place.required {
            let mut body = place.around.clone();
            let (last, before) = place.path.split_last().expect("a name");
            let Step::Name(name) = last else { panic!("{about}") };
            slot(&mut body, before).as_object_mut().expect("an object").remove(name);
            cases.push(case("left out", &about, body, code));
        }
    }
    1 + inside(table, action, place, sample, absent, cases)
}

/// What is inside an object, or inside the objects of a list.
fn inside(
    table: &Table,
    action: &Action,
    place: &Place<'_>,
    sample: Option<Value>,
    absent: bool,
    cases: &mut Vec<Case>,
) -> usize {
    let mut path = place.path.clone();
    let shape = match place.kind {
        Kind::Shape(shape) => shape,
        Kind::List(inner) => match inner.as_ref() {
            Kind::Shape(shape) => {
                path.push(Step::First);
                shape
            }
            Kind::Text | Kind::Int | Kind::Uint | Kind::Bool | Kind::List(_) => return 0,
        },
        Kind::Text | Kind::Int | Kind::Uint | Kind::Bool => return 0,
    };
    let around = put(&place.around, &place.path, sample.unwrap_or(Value::Null));
    let named = |name: &str| [path.as_slice(), &[Step::Name(name.to_owned())]].concat();
    cases.push(case(
        "unknown",
        &shown(&named("Colour")),
        put(&around, &named("Colour"), json!("red")),
        "UnknownParameter",
    ));
    let fields: &[Parameter] = table.shapes.get(shape).unwrap_or_else(|| panic!("there is no shape {shape}"));
    let mut parameters = 0;
    for field in fields {
        let path = named(&field.name);
        let said = action.inside.get(&shown(&path)).map(Vec::as_slice).unwrap_or_default();
        let inner = Place {
            kind: &field.kind,
            required: field.required.as_deref(),
            tries: said.iter().collect(),
            around: around.clone(),
            absent,
            path,
        };
        parameters += tried(table, action, &inner, cases);
    }
    parameters
}

/// A value of every type that a parameter does not have.
fn of_other_types(kind: &Kind) -> Vec<Value> {
    let (text, number, part, truth, list, object) =
        (json!("x"), json!(7), json!(1.5), json!(true), json!([]), json!({}));
    match kind {
        Kind::Text => vec![number, part, truth, list, object],
        Kind::Int | Kind::Uint => vec![text, json!("7"), part, truth, list, object, json!(u64::MAX)]
            .into_iter()
            .filter(|value| *kind != Kind::Uint || *value != json!(u64::MAX))
            .collect(),
        Kind::Bool => vec![text, json!("true"), number, json!(0), part, list, object],
        Kind::Shape(_) => vec![text, number, part, truth, list, json!([{}])],
        Kind::List(inner) => {
            let mut wrong = vec![text, number, part, truth, object];
            wrong.extend(of_other_types(inner).into_iter().map(|entry| json!([entry])));
            wrong
        }
    }
}

fn at<'a>(body: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(body, |place, step| match step {
        Step::Name(name) => place.get(name),
        Step::First => place.get(0),
    })
}

/// Where a path leads; what is missing on the way is made.
fn slot<'a>(body: &'a mut Value, path: &[Step]) -> &'a mut Value {
    path.iter().fold(body, |place, step| match step {
        Step::Name(name) => {
            if !place.is_object() {
                *place = json!({});
            }
            place.as_object_mut().expect("an object").entry(name).or_insert(Value::Null)
        }
        Step::First => {
            if place.get(0).is_none() {
                *place = json!([{}]);
            }
            place.get_mut(0).expect("an entry")
        }
    })
}

fn put(body: &Value, path: &[Step], value: Value) -> Value {
    let mut body = body.clone();
    *slot(&mut body, path) = value;
    body
}
