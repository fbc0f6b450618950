//! Configs that somebody's cat walked over: whatever the text is, reading it ends, panics nowhere, says something about
//! whatever it refuses, and each place that it names is one.

mod mutate;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fleetwright::config::{ConfigFiles, Loaded, load};
use fleetwright::diagnostic::{Diagnostic, Place};
use fleetwright::model::digest::SecretKey;
use fleetwright::model::ids::{Lineage, Name};
use fleetwright::report::diagnostics::{render, render_json};

use mutate::{Dice, Texts, mutate, vocabulary};

const SEED: u64 = 0x666c_6565_7477;
const ROUNDS: usize = 4000;
/// What is larger than this is read as it is, but not thousands of times.
const LARGEST: usize = 8 << 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()
}

/// The YAML files of a directory.
fn texts(dir: &Path) -> Texts {
    let mut texts: Texts = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml") && path.is_file())
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("readable"))
        })
        .collect();
    texts.sort();
    texts
}

/// The configs of all cases and examples.
fn seeds() -> Vec<Texts> {
    let mut dirs: Vec<PathBuf> = ["tests/cases/config", "examples"]
        .iter()
        .flat_map(|place| fs::read_dir(root().join(place)).expect("a directory"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    dirs.sort();
    let size = |texts: &Texts| texts.iter().map(|(_, bytes)| bytes.len()).sum::<usize>();
    dirs.iter().map(|dir| texts(dir)).filter(|texts| !texts.is_empty() && size(texts) <= LARGEST).collect()
}

fn read(texts: &Texts) -> Loaded {
    let files = ConfigFiles {
        yaml: texts.clone(),
        environments: BTreeSet::new(),
        faults: Vec::new(),
        others: Box::new(|path| if path.ends_with(".sh") { Ok(b"true\n".to_vec()) } else { Err("not there".into()) }),
    };
    load(&files, &Name::new("default"), &SecretKey::of(&Lineage::new("fuzz")))
}

/// What holds for every text.
fn check(texts: &Texts) -> Result<(), String> {
    let loaded = read(texts);
    let Loaded { desired, diagnostics, sources, .. } = &loaded;
    if desired.is_none() != diagnostics.iter().any(Diagnostic::is_error) {
        return Err("it is refused without an error, or used in spite of one".to_owned());
    }
    let bytes: usize = texts.iter().map(|(_, bytes)| bytes.len()).sum();
    if diagnostics.len() > 8 + bytes {
        return Err(format!("{} diagnostics about {bytes} bytes", diagnostics.len()));
    }
    for diagnostic in diagnostics {
        let Diagnostic { message, place, related, .. } = diagnostic;
        let places = place.iter().chain(related.iter().map(|(place, _)| place));
        for place in places {
            let Some(span) = sources.span(place) else { return Err(format!("`{message}` is at {place:?}, nowhere")) };
            let fits = sources
                .sources
                .get(span.file)
                .is_some_and(|source| span.start <= span.end && source.text.get(span.start..span.end).is_some());
            if !fits {
                return Err(format!("`{message}` is at {span:?}, outside of its file"));
            }
        }
        if place.is_none() && texts.iter().any(|(name, _)| message.contains(&format!("`{name}`"))) {
            return Err(format!("`{message}` has no place"));
        }
        if let Some(Place::Span(span)) = place
            && message.is_empty()
        {
            return Err(format!("there is no message at {span:?}"));
        }
    }
    for width in [80, 30] {
        if render(diagnostics, sources, width, false).is_empty() != diagnostics.is_empty() {
            return Err("something is not told".to_owned());
        }
    }
    serde_json::from_str::<serde_json::Value>(&render_json(diagnostics, sources)).map_err(|error| error.to_string())?;
    Ok(())
}

#[test]
fn no_mutation_of_any_case_breaks_the_reader() {
    let seeds = seeds();
    let vocabulary = vocabulary(&seeds);
    let whole = texts(&root().join("tests/cases/config/ok-whole-language"));
    let mut dice = Dice(SEED);
    for round in 0..ROUNDS {
        // The whole language has the most to be broken.
        let mut texts = if round % 3 == 0 { whole.clone() } else { dice.one_of(&seeds).clone() };
        for _ in 0..=dice.below(4) {
            let file = dice.below(texts.len());
            mutate(&mut dice, &mut texts[file].1, &vocabulary, &seeds);
        }
        let outcome = std::panic::catch_unwind(|| check(&texts)).unwrap_or_else(|_| Err("a panic".to_owned()));
        if let Err(fault) = outcome {
            let shown: Vec<_> = texts.iter().map(|(name, text)| (name, String::from_utf8_lossy(text))).collect();
            panic!("round {round}: {fault}\nput this into tests/fixtures/corpus/config/:\n{shown:#?}");
        }
    }
}

/// Shapes that are easily got wrong, and all that ever was.
#[test]
fn the_corpus_is_read() {
    let corpus = texts(&root().join("tests/fixtures/corpus/config"));
    assert!(corpus.len() >= 20, "the corpus is gone");
    for (name, text) in corpus {
        if let Err(fault) = check(&vec![(name.clone(), text)]) {
            panic!("{name}: {fault}");
        }
    }
}

#[test]
fn every_case_keeps_the_same_promises() {
    for texts in seeds() {
        if let Err(fault) = check(&texts) {
            panic!("{:?}: {fault}", texts.iter().map(|(name, _)| name).collect::<Vec<_>>());
        }
    }
}
