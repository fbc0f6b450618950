//! From the bytes of a request to its parameters, strictly (API text 1.2): a parameter that the action does not
//! define is UnknownParameter, a wrong type InvalidParameter, and `null` is not given.

use serde_json::{Map, Value};

use super::refusal::{Done, Refusal, refuse};
use crate::cloud::cvm::transport::HttpRequest;
use crate::cloud::cvm::wire::Request;

/// The most bytes of a body, and of a query (API text 1.2).
const MAX_BODY: usize = 10 * 1024 * 1024;
const MAX_QUERY: usize = 32 * 1024;

/// Reads the parameters of an action. `lenient`: a text in JSON may stand for a number or a truth value.
pub(crate) fn parse<R: Request>(request: &HttpRequest, lenient: bool) -> Done<R> {
    if request.method == "GET" {
        return parse_query(&request.query);
    }
    if request.body.len() > MAX_BODY {
        return refuse("RequestSizeLimitExceeded", "a body has at most 10 MB");
    }
    let body: &[u8] = if request.body.is_empty() { b"{}" } else { &request.body };
    // A list would be read as the fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return refuse("InvalidParameter", "the body is a JSON object");
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let read = read::<R, _>(&mut json)?;
    // What could not be read was not read to its end.
    if read.is_ok() && json.end().is_err() {
        return refuse("InvalidParameter", "the body holds more than one JSON value");
    }
    let request = match read {
        Err(_) if lenient => {
            let Ok(given) = serde_json::from_slice(body) else {
                return refuse("InvalidParameter", "the body is no JSON");
            };
            return read_texts(given);
        }
        read => read.map_err(|fault| Refusal::new("InvalidParameter", fault.1))?,
    };
    well_read(request, &serde_json::from_slice(body)?)
}

/// What was read, unless a list was taken for an object.
fn well_read<R: Request>(request: R, given: &Value) -> Done<R> {
    match misread(given, &serde_json::to_value(&request)?, "") {
        Some(name) => refuse("InvalidParameter", format!("`{name}`: invalid type: sequence, expected an object")),
        None => Ok(request),
    }
}

/// The path of a list that was read as an object: serde takes a list for the fields of a struct in their order.
fn misread(given: &Value, read: &Value, path: &str) -> Option<String> {
    let inner = |given: &Value, read: &Value, path: String| {
        if given.is_array() != read.is_array() { Some(path) } else { misread(given, read, &path) }
    };
    match (given, read) {
        (Value::Array(given), Value::Array(read)) => (0..)
            .zip(given.iter().zip(read))
            .find_map(|(n, (given, read)): (usize, _)| inner(given, read, format!("{path}[{n}]"))),
        (Value::Object(given), Value::Object(read)) => given.iter().find_map(|(name, given)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            inner(given, read.get(name)?, path)
        }),
        (
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
            _,
        ) => None,
    }
}

/// The path of a wrong value, and what is wrong.
type Wrong = (String, String);

/// Reads parameters; an unknown one is a refusal, a wrong one a value, for a query may yet be read otherwise.
fn read<'de, R: Request, D: serde::Deserializer<'de>>(source: D) -> Done<Result<R, Wrong>> {
    let mut unknown = None;
    let mut note = |path: serde_ignored::Path<'_>| {
        unknown.get_or_insert_with(|| path.to_string().replace(".?", ""));
    };
    let source = serde_ignored::Deserializer::new(source, &mut note);
    let read = serde_path_to_error::deserialize::<_, R>(source);
    if let Some(name) = unknown {
        return refuse("UnknownParameter", format!("`{name}` is not a parameter of {}", R::ACTION));
    }
    Ok(read.map_err(|fault| (fault.path().to_string(), format!("`{}`: {}", fault.path(), fault.inner()))))
}

/// `Filters.0.Name=zone&Filters.0.Values.0=…`, where all values are texts.
fn parse_query<R: Request>(query: &str) -> Done<R> {
    if query.len() > MAX_QUERY {
        return refuse("RequestSizeLimitExceeded", "a query has at most 32 KB");
    }
    let mut root = Value::Object(Map::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (Some(name), Some(value)) = (decode(name), decode(value)) else {
            return refuse("InvalidParameter", "the query is not UTF-8 in percent encoding");
        };
        let segments: Vec<&str> = name.split('.').collect();
        if segments.len() > 8 || !put(&mut root, &segments, value) {
            return refuse("InvalidParameter", format!("`{name}` does not fit the other parameters"));
        }
    }
    read_texts(root)
}

/// Reads parameters among which a text may stand for a number or a truth value: it is read again where it is found to
/// be wanted. The official SDK for Python writes `True`.
fn read_texts<R: Request>(mut root: Value) -> Done<R> {
    for _ in 0..2000 {
        match read::<R, _>(root.clone())? {
            Ok(request) => return well_read(request, &root),
            Err((path, message)) => {
                let Some(place) = find(&mut root, &path) else { return refuse("InvalidParameter", message) };
                let better = match &*place {
                    Value::String(text) if text.eq_ignore_ascii_case("true") => Value::Bool(true),
                    Value::String(text) if text.eq_ignore_ascii_case("false") => Value::Bool(false),
                    Value::String(text) => match text.parse::<i64>() {
                        Ok(number) => Value::from(number),
                        Err(_) => return refuse("InvalidParameter", message),
                    },
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        return refuse("InvalidParameter", message);
                    }
                };
                *place = better;
            }
        }
    }
    refuse("InvalidParameter", "there are too many values")
}

fn put(place: &mut Value, segments: &[&str], value: String) -> bool {
    let Some((first, rest)) = segments.split_first() else {
        *place = Value::String(value);
        return true;
    };
    if let Ok(index) = first.parse::<usize>() {
        if !place.is_array() {
            if place.as_object().is_none_or(|map| !map.is_empty()) {
                return false;
            }
            *place = Value::Array(Vec::new());
        }
        let Some(list) = place.as_array_mut() else { return false };
        if index > list.len() || index >= 1000 {
            return false;
        }
        if index == list.len() {
            list.push(Value::Object(Map::new()));
        }
        return put(&mut list[index], rest, value);
    }
    let Some(map) = place.as_object_mut() else { return false };
    put(map.entry(*first).or_insert_with(|| Value::Object(Map::new())), rest, value)
}

fn find<'a>(root: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty()).try_fold(root, |place, part| {
        match part.parse::<usize>() {
            Ok(index) => place.get_mut(index),
            Err(_) => place.get_mut(part),
        }
    })
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::cvm::wire::requests::{DescribeImages, RunInstances};

    fn get(query: &str) -> HttpRequest {
        HttpRequest {
            method: "GET".into(),
            path: "/".into(),
            query: query.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[test]
    fn a_query_says_the_same_as_a_body() {
        let request = get("Filters.0.Name=image-name&Filters.0.Values.0=a+b%2Bc&Filters.0.Values.1=7&Limit=5");
        let read: DescribeImages = parse(&request, false).expect("parameters");
        let filters = read.filters.expect("filters");
        assert_eq!(filters[0].values.as_deref(), Some(["a b+c".to_owned(), "7".to_owned()].as_slice()));
        assert_eq!(read.limit, Some(5));
        let read: RunInstances = parse(&get("DataDisks.0.DiskSize=10&DryRun=true"), false).expect("parameters");
        assert_eq!(read.dry_run, Some(true));
        let read: RunInstances = parse(&get("DisableApiTermination=False&DryRun=True"), false).expect("parameters");
        assert_eq!((read.disable_api_termination, read.dry_run), (Some(false), Some(true)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let wrong = |query: &str| parse::<DescribeImages>(&get(query), false).expect_err(query);
        assert_eq!(wrong("Limit=x").code, "InvalidParameter");
        assert_eq!(wrong("Colour=x").code, "UnknownParameter");
        assert_eq!(wrong("Filters.1.Name=x").code, "InvalidParameter");
        assert_eq!(wrong("ImageIds=%f").code, "InvalidParameter");
    }
}
