//! JSON that is made while it is written: what there may be a million of is at no moment in memory as a whole.

use std::io::{self, BufWriter, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::node::Node;

/// The serialiser writes a few bytes at a time; what takes them wants more at once.
pub const CHUNK: usize = 64 * 1024;

/// A JSON object whose long lists are made item by item, each time that it is written.
pub struct Document<'a> {
    fields: Vec<(&'static str, Part<'a>)>,
    layout: Layout,
}

/// What is the same as a [`Node`], made or still to be made.
enum Part<'a> {
    Whole(Node),
    Each(Make<'a>),
    Inner(Document<'a>),
}

type Make<'a> = Box<dyn Fn() -> Box<dyn Iterator<Item = Node> + 'a> + 'a>;

#[derive(Clone, Copy)]
enum Layout {
    Indented,
    Line,
}

impl<'a> Document<'a> {
    /// A document that begins with these fields.
    pub(super) fn new(fields: Vec<(&'static str, Node)>) -> Self {
        let fields = fields.into_iter().map(|(key, node)| (key, Part::Whole(node))).collect();
        Self { fields, layout: Layout::Indented }
    }

    /// The same on one line.
    pub(super) fn on_one_line(self) -> Self {
        Self { layout: Layout::Line, ..self }
    }

    /// The same, with one more field.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<Node>) -> Self {
        self.fields.push((key, Part::Whole(value.into())));
        self
    }

    /// The same, with a list whose items are made one by one.
    pub(super) fn each<I: Iterator<Item = Node> + 'a>(mut self, key: &'static str, items: impl Fn() -> I + 'a) -> Self {
        self.fields.push((key, Part::Each(Box::new(move || Box::new(items())))));
        self
    }

    /// The same, with another document in it.
    pub(super) fn inner(mut self, key: &'static str, document: Self) -> Self {
        self.fields.push((key, Part::Inner(document)));
        self
    }

    /// Writes the whole of it with a line end, some [`CHUNK`] of bytes at a time.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut writer = BufWriter::with_capacity(CHUNK, to);
        match self.layout {
            Layout::Indented => serde_json::to_writer_pretty(&mut writer, self)?,
            Layout::Line => serde_json::to_writer(&mut writer, self)?,
        }
        writer.write_all(b"\n")?;
        writer.flush()
    }

    /// The whole text, for what is small.
    #[must_use]
    pub fn text(&self) -> String {
        let mut bytes = Vec::new();
        match self.write(&mut bytes).map(|()| String::from_utf8(bytes)) {
            Ok(Ok(text)) => text,
            Ok(Err(_)) | Err(_) => unreachable!("a plain value always has a JSON form, and JSON is text"),
        }
    }
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (key, part) in &self.fields {
            map.serialize_entry(key, part)?;
        }
        map.end()
    }
}

impl Serialize for Part<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(node) => node.serialize(serializer),
            Self::Each(items) => serializer.collect_seq(items()),
            Self::Inner(document) => document.serialize(serializer),
        }
    }
}

/// A [`Document`] of these fields: `document! { "key" => value, … }`, each value whatever becomes a [`Node`].
macro_rules! document {
    ($($key:literal => $value:expr),* $(,)?) => {
        $crate::report::document::Document::new(vec![$(($key, $crate::report::node::Node::from($value))),*])
    };
}

pub(super) use document;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::report::node::object;

    #[test]
    fn it_is_written_as_a_node_would_be() {
        let items = |n: u32| (0..n).map(|n| object! { "n" => n, "none" => Node::list([""; 0]) });
        for n in [0, 1, 3] {
            let inner = || document! { "a" => true }.each("items", move || items(n)).with("end", "of it");
            let same = || object! { "a" => true, "items" => Node::list(items(n)), "end" => "of it" };
            assert_eq!(inner().text(), same().pretty());
            assert_eq!(inner().on_one_line().text(), same().line());
            let outer = document! { "type" => "plan" }.inner("plan", inner()).with("last", 1_u32);
            assert_eq!(outer.text(), object! { "type" => "plan", "plan" => same(), "last" => 1_u32 }.pretty());
        }
    }

    /// Counts what it is given, and sees how many items were made until then.
    struct Counting<'a> {
        made: &'a Cell<usize>,
        made_at_first: Option<usize>,
        writes: usize,
        largest: usize,
        bytes: usize,
    }

    impl Write for Counting<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.made_at_first.get_or_insert(self.made.get());
            self.writes += 1;
            self.largest = self.largest.max(bytes.len());
            self.bytes += bytes.len();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn items_are_made_when_their_turn_comes_and_written_in_chunks() {
        let made = Cell::new(0);
        let item = |n: u32| {
            made.set(made.get() + 1);
            object! { "address" => format!("fleet.web[{n}]") }
        };
        let counted = |n: u32| {
            made.set(0);
            let document = document! {}.each("changes", || (0..n).map(item));
            assert_eq!(made.get(), 0);
            let mut to = Counting { made: &made, made_at_first: None, writes: 0, largest: 0, bytes: 0 };
            document.write(&mut to).expect("written");
            assert_eq!(made.get(), usize::try_from(n).expect("small"));
            to
        };
        let (some, many) = (counted(10_000), counted(100_000));
        assert!(many.largest <= CHUNK && some.bytes > 4 * CHUNK, "{} {}", many.largest, some.bytes);
        // What is full is written before the next is made, however many come.
        assert_eq!(many.made_at_first, some.made_at_first);
        assert!(many.made_at_first < Some(2_000), "{:?}", many.made_at_first);
        // And not line by line.
        assert!(many.writes <= many.bytes.div_ceil(CHUNK / 2), "{} writes of {} bytes", many.writes, many.bytes);
    }

    #[test]
    fn it_ends_where_nobody_takes_it_any_more() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let made = Cell::new(0);
        let document =
            document! {}.each("items", || (0..1_000_000_u32).inspect(|_| made.set(made.get() + 1)).map(Node::from));
        assert_eq!(document.write(&mut Closed).expect_err("closed").kind(), io::ErrorKind::BrokenPipe);
        assert!(made.get() < CHUNK);
    }
}
