//! `fleetwright explain`.

use super::{Exit, Shell};
use crate::diagnostic::nearest;
use crate::diagnostic::{Class, Diagnostic, SourceMap, codes};
use crate::ops::Problem;
use crate::report::explain;

pub(super) fn run(shell: &mut Shell<'_>, word: Option<&str>) -> Result<Exit, Problem> {
    let exit_of = |class: Class| Exit::of_class(class).code();
    let text = match word {
        None if shell.json => explain::json(codes::ALL, exit_of),
        None => explain::list(exit_of, shell.out),
        Some(word) => {
            // As it stands in a message: `error[unknown-key]`.
            let bare = word.rsplit_once('[').map_or(word, |(_, inner)| inner).trim_end_matches([']', ':']);
            let lower = bare.to_ascii_lowercase().replace('_', "-");
            let Some(code) = codes::ALL.iter().copied().find(|code| code.word == lower) else {
                return Err(no_code(bare));
            };
            if shell.json {
                explain::json(&[code], exit_of)
            } else {
                explain::text(code, exit_of(code.class), shell.out)
            }
        }
    };
    shell.print(&text);
    Ok(Exit::Done)
}

fn no_code(word: &str) -> Problem {
    let fault = Diagnostic::error(codes::USAGE, format!("there is no diagnostic code `{word}`"));
    let fault = match nearest(word, codes::ALL.iter().map(|code| code.word)) {
        Some(near) => {
            fault.help(format!("did you mean `{near}`? Without a code, `fleetwright explain` lists them all"))
        }
        None => fault.help("without a code, `fleetwright explain` lists them all"),
    };
    Problem { diagnostics: vec![fault], sources: SourceMap::default() }
}
