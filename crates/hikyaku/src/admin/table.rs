//! Texts in columns, for terminals: East Asian letters take two cells.

/// Rows under their headings, each column as wide as its widest text but for the last.
pub(super) fn table(headings: &[&str], rows: &[Vec<String>]) -> String {
    let headings: Vec<String> = headings.iter().map(|heading| heading.to_uppercase()).collect();
    let mut widths: Vec<usize> = headings.iter().map(|heading| width(heading)).collect();
    for row in rows {
        for (most, text) in widths.iter_mut().zip(row) {
            *most = width(text).max(*most);
        }
    }
    let mut text = String::new();
    for row in std::iter::once(&headings).chain(rows) {
        let mut line = String::new();
        for (cell, most) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', most.saturating_sub(width(cell)) + 2));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Names and their values, indented.
pub(super) fn pairs(pairs: &[(String, String)]) -> String {
    let most = pairs.iter().map(|(name, _)| width(name)).max().unwrap_or(0);
    let line = |(name, value): &(String, String)| {
        let gap = " ".repeat(most.saturating_sub(width(name)) + 2);
        format!("  {name}{gap}{value}\n")
    };
    pairs.iter().map(line).collect()
}

/// The text, or its beginning in so many cells.
pub(super) fn clipped(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let mut clipped = String::new();
    for c in text.chars() {
        if width(&clipped) + cells_of(c) >= cells {
            break;
        }
        clipped.push(c);
    }
    clipped + "…"
}

fn width(text: &str) -> usize {
    text.chars().map(cells_of).sum()
}

/// Unicode's East Asian Width, as far as letters of mail addresses and titles go: W and F
/// are two cells wide.
fn cells_of(c: char) -> usize {
    match u32::from(c) {
        0x0300..=0x036F | 0x3099..=0x309A | 0xFE00..=0xFE0F | 0x200B..=0x200D => 0,
        0x1100..=0x115F
        | 0x2E80..=0xA4CF
        | 0xAC00..=0xD7A3
        | 0xF900..=0xFAFF
        | 0xFE30..=0xFE6F
        | 0xFF00..=0xFF60
        | 0xFFE0..=0xFFE6
        | 0x1F300..=0x1FAFF
        | 0x20000..=0x3FFFD => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_each_other() {
        let rows = [["ann", "Ann Lee", "x"], ["tanaka", "田中 浩", "y"]];
        let rows: Vec<Vec<String>> = rows.iter().map(|row| row.map(str::to_owned).to_vec()).collect();
        let expected = "NAME    TITLE    STATE\nann     Ann Lee  x\ntanaka  田中 浩  y\n";
        assert_eq!(table(&["name", "title", "state"], &rows), expected);
    }

    #[test]
    fn long_texts_are_clipped() {
        for (text, cells, expected) in
            [("short", 5, "short"), ("longer", 5, "long…"), ("田中田中", 5, "田中…"), ("田中", 4, "田中")]
        {
            assert_eq!(clipped(text, cells), expected);
        }
    }
}
