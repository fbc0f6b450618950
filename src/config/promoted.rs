//! `shared: { from: … }`: the very image that another environment made.

use super::context::Context;
use super::language;
use super::read::{Fields, Value, shown};
use crate::diagnostic::{Diagnostic, Place, codes};
use crate::model::desired::Image;
use crate::model::ids::Name;
use crate::model::promotion::PromotedFrom;

/// The longest path of a directory.
const LONGEST_DIR: usize = 1024;
/// The environment of a config for which none is named.
const DEFAULT_ENV: &str = "default";

/// `shared` is what `from` stands in, and `value` what it holds.
pub(super) fn from(cx: &mut Context<'_>, shared: &Fields<'_>, value: &Value<'_>) -> Option<Image> {
    for key in ["id", "owner"] {
        let Some(span) = shared.key(key) else { continue };
        cx.tell(
            Diagnostic::error(codes::CONFLICT, format!("`{key}` does not go with `from`"))
                .at_span(span)
                .related(Place::Span(value.key), "from here")
                .why("the state of that environment tells which image it is, and whose")
                .help(format!("remove `{key}`, or name the image by `id` and `owner` alone")),
        );
    }
    let fields = cx.faults.fields(value, &language::PROMOTED)?;
    let image = fields.need("image", "NAME", &mut cx.faults).and_then(|value| name(cx, &value));
    let project = match fields.get("project") {
        Some(value) => name(cx, &value),
        // Where ours could not be read, that is told already.
        None => cx.place.as_ref().map(|(project, _)| project.clone()),
    };
    let env = fields.get("env").map_or_else(|| Some(Name::new(DEFAULT_ENV)), |value| name(cx, &value));
    let dir = fields.get("dir").map_or(Some(None), |value| dir(cx, &value).map(Some));
    let (env, dir) = (env?, dir?);
    let ours = cx.place.as_ref().is_some_and(|(_, ours)| *ours == env);
    if ours && dir.as_deref().is_none_or(is_here) {
        let place = fields.get("env").map_or(value.key, |value| value.node.span);
        cx.tell(
            Diagnostic::error(codes::CONFLICT, format!("an image cannot be promoted from `{env}` to itself"))
                .at_span(place)
                .why(format!("this config is read for the environment `{env}`, and so is what is promoted from"))
                .help("name another environment with `env`, or another config's directory with `dir`"),
        );
        return None;
    }
    Some(Image::Promoted { from: PromotedFrom { project: project?, env, image: image? }, dir })
}

/// Whether a path is that of the directory that it starts in.
fn is_here(dir: &str) -> bool {
    dir.split('/').all(|part| matches!(part, "" | ".")) && !dir.starts_with('/')
}

fn name(cx: &mut Context<'_>, value: &Value<'_>) -> Option<Name> {
    let text = cx.faults.text(value)?;
    cx.check_name(text, value.node.span).then(|| Name::new(text))
}

fn dir(cx: &mut Context<'_>, value: &Value<'_>) -> Option<String> {
    let text = cx.faults.text(value)?;
    if text.is_empty() || text.len() > LONGEST_DIR || text.chars().any(char::is_control) {
        cx.tell(
            value
                .fault(codes::INVALID_VALUE, format!("`{}` is no directory", shown(text)))
                .help("write the way to it from this config's directory, such as `dir: ../staging`"),
        );
        return None;
    }
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_leads_nowhere_is_here() {
        assert!(is_here(".") && is_here("./") && is_here("./.") && is_here("././"));
        assert!(!is_here("..") && !is_here("/") && !is_here("./a") && !is_here("a/.."));
    }
}
