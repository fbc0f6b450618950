//! Tables that fit the width: columns of prose wrap, ids never do, and where even that is too wide each row becomes a
//! small list.

use super::style::{Ink, Line, Page, Style, clean, display_width};

/// A column of a table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Column {
    /// What stands above it.
    pub title: &'static str,
    /// Whether its cells may be broken into several rows; never so for what people copy.
    pub wraps: bool,
    /// Whether it is left out where there is no room for it.
    pub optional: bool,
}

impl Column {
    /// A column whose cells are never broken.
    #[must_use]
    pub const fn whole(title: &'static str) -> Self {
        Self { title, wraps: false, optional: false }
    }

    /// A column whose cells may be broken.
    #[must_use]
    pub const fn wraps(title: &'static str) -> Self {
        Self { title, wraps: true, optional: false }
    }

    /// The same, left out where there is no room for it.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { optional: true, ..self }
    }
}

const GUTTER: usize = 2;
const NARROWEST: usize = 12;

/// The table as text; the first column stands for the row. A cell that a row lacks is empty; of no rows, nothing is
/// left but the titles. A column that is empty in all rows is left out, as are
/// optional ones where there is no room.
#[must_use]
pub fn table(columns: &[Column], rows: &[Vec<String>], style: Style) -> String {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let all: Vec<usize> = (0..columns.len())
        .filter(|&n| rows.is_empty() || n == 0 || rows.iter().any(|row| !cell(row, n).is_empty()))
        .collect();
    let natural: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(n, column)| {
            rows.iter().map(|row| display_width(cell(row, n))).fold(display_width(column.title), usize::max)
        })
        .collect();
    let mut page = Page::new(style);
    if let Some((shown, widths)) = fit(columns, &all, &natural, style.columns()) {
        let titles: Vec<String> = columns.iter().map(|column| column.title.to_owned()).collect();
        write_row(&mut page, Ink::Strong, &titles, columns, &shown, &widths);
        for row in &rows {
            write_row(&mut page, Ink::Plain, row, columns, &shown, &widths);
        }
    } else {
        cards(&mut page, &rows, columns, &all);
    }
    page.finish()
}

fn cell(row: &[String], column: usize) -> &str {
    row.get(column).map_or("", String::as_str)
}

/// Which columns are shown, and how wide: first the widest ones that wrap are narrowed, then optional ones go, the
/// last one first. `None`: they never fit.
fn fit(columns: &[Column], all: &[usize], natural: &[usize], room: usize) -> Option<(Vec<usize>, Vec<usize>)> {
    let mut shown = all.to_vec();
    loop {
        let mut widths: Vec<usize> = shown.iter().map(|&n| natural[n]).collect();
        if shrink(columns, &shown, &mut widths, room) {
            return Some((shown, widths));
        }
        let last = shown.iter().rposition(|&n| columns[n].optional)?;
        shown.remove(last);
    }
}

/// Narrows the widest columns that wrap, until all fit; `false`: they never do.
fn shrink(columns: &[Column], shown: &[usize], widths: &mut [usize], room: usize) -> bool {
    let gutters = GUTTER * shown.len().saturating_sub(1);
    loop {
        let total = widths.iter().sum::<usize>() + gutters;
        if total <= room {
            return true;
        }
        let widest =
            (0..widths.len()).filter(|&n| columns[shown[n]].wraps && widths[n] > NARROWEST).max_by_key(|&n| widths[n]);
        let Some(widest) = widest else { return false };
        widths[widest] -= 1;
    }
}

fn write_row(page: &mut Page, ink: Ink, row: &[String], columns: &[Column], shown: &[usize], widths: &[usize]) {
    let cells: Vec<Vec<String>> = shown
        .iter()
        .zip(widths)
        .map(|(&n, &width)| {
            let text = cell(row, n);
            if columns[n].wraps { broken(text, width) } else { vec![text.to_owned()] }
        })
        .collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    for at in 0..height {
        let mut line = Line::new();
        for (cell, &width) in cells.iter().zip(widths) {
            let text = cell.get(at).map_or("", String::as_str);
            line.push(ink, text);
            line.push(Ink::Plain, " ".repeat(width.saturating_sub(display_width(text)) + GUTTER));
        }
        page.raw(0, &line);
    }
}

/// A text in pieces of at most `width` columns, broken behind spaces and punctuation where there are any.
fn broken(text: &str, width: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut columns = 0;
    for c in text.chars() {
        let wide = display_width(c.encode_utf8(&mut [0; 4]));
        if columns + wide > width && !piece.is_empty() {
            let cut = piece.rfind([' ', '-', '/', ',', '_', '.']).map_or(piece.len(), |at| at + 1);
            let rest = piece.split_off(cut);
            pieces.push(std::mem::replace(&mut piece, rest).trim_end().to_owned());
            columns = display_width(&piece);
        }
        // No row begins with the space that it was broken at.
        if c == ' ' && piece.is_empty() && !pieces.is_empty() {
            continue;
        }
        piece.push(c);
        columns += wide;
    }
    pieces.push(piece.trim_end().to_owned());
    pieces
}

fn cards(page: &mut Page, rows: &[Vec<String>], columns: &[Column], shown: &[usize]) {
    let widest = shown.iter().skip(1).map(|&n| display_width(columns[n].title)).max().unwrap_or(0);
    for row in rows {
        page.wrap(0, 2, &Line::new().add(Ink::Strong, cell(row, 0)));
        for &n in shown.iter().skip(1).filter(|&&n| !cell(row, n).is_empty()) {
            let title = columns[n].title;
            let pad = " ".repeat(widest - display_width(title) + GUTTER);
            let line = Line::new().add(Ink::Faint, title.to_lowercase()).text(pad).text(cell(row, n));
            page.wrap(2, 2 + widest + GUTTER, &line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COLUMNS: [Column; 3] = [Column::whole("ADDRESS"), Column::whole("ID"), Column::wraps("NAME")];

    fn rows() -> Vec<Vec<String>> {
        vec![
            vec!["fleet.web[0]".into(), "ins-r8hr2upy".into(), "a-shop-with-a-long-name-production-web-3-1".into()],
            vec!["fleet.web[1]".into(), "ins-r8hr2upz".into()],
        ]
    }

    #[test]
    fn names_wrap_and_ids_do_not() {
        let text = table(&COLUMNS, &rows(), Style { width: 50, color: false });
        assert_eq!(
            text,
            "ADDRESS       ID            NAME\n\
             fleet.web[0]  ins-r8hr2upy  a-shop-with-a-long-\n\
             \u{20}                           name-production-web-3-\n\
             \u{20}                           1\n\
             fleet.web[1]  ins-r8hr2upz\n"
        );
    }

    #[test]
    fn where_nothing_fits_each_row_is_a_list() {
        let text = table(&COLUMNS, &rows(), Style { width: 30, color: false });
        assert_eq!(
            text,
            "fleet.web[0]\n  id    ins-r8hr2upy\n  name  a-shop-with-a-long-name-production-web-3-1\n\
             fleet.web[1]\n  id    ins-r8hr2upz\n"
        );
    }

    #[test]
    fn a_column_without_any_text_is_left_out() {
        let rows = vec![vec!["a".to_owned(), String::new(), "b".to_owned()]];
        assert_eq!(table(&COLUMNS, &rows, Style::PLAIN), "ADDRESS  NAME\na        b\n");
        assert_eq!(table(&COLUMNS, &[], Style::PLAIN), "ADDRESS  ID  NAME\n");
    }

    #[test]
    fn an_optional_column_gives_way() {
        let columns = [Column::whole("A"), Column::whole("B").optional()];
        let rows = vec![vec!["a".repeat(15), "b".repeat(10)]];
        assert_eq!(table(&columns, &rows, Style { width: 20, color: false }), format!("A\n{}\n", "a".repeat(15)));
    }

    proptest! {
        #[test]
        fn ids_stay_whole_and_rows_fit(
            rows in prop::collection::vec(("[a-z]{1,20}", "[a-z]{1,12}", "[a-z镜 -]{0,60}"), 0..8), width in 20usize..120,
        ) {
            let rows: Vec<Vec<String>> = rows.into_iter().map(|(a, b, c)| vec![a, b, c]).collect();
            let text = table(&COLUMNS, &rows, Style { width, color: false });
            for row in &rows {
                prop_assert!(text.contains(&row[0]) && text.contains(&row[1]));
            }
            for line in text.lines() {
                // a list's row is one title and one value
                prop_assert!(
                    display_width(line) <= width || line.split_whitespace().count() <= 2,
                    "{line:?}"
                );
            }
        }
    }
}
