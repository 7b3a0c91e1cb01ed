//! Figures of several rounds as one, and columns for a person to read.

/// The middle of some figures, and how far they lie apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    /// None of no figures.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len() % 2 {
            1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        };
        Some(Self { median, least, most })
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}", figure(self.median))?;
        match self.least == self.most {
            true => Ok(()),
            false => write!(f, " ({}–{})", figure(self.least), figure(self.most)),
        }
    }
}

/// A part of a report.
pub struct Section {
    pub title: String,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub notes: Vec<String>,
}

impl Section {
    pub fn new(title: impl Into<String>, head: &[&str]) -> Self {
        let head = head.iter().map(|cell| cell.to_string()).collect();
        Self { title: title.into(), head, rows: Vec::new(), notes: Vec::new() }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let lines: Vec<Vec<String>> = std::iter::once(&self.head).chain(&self.rows).cloned().collect();
        let notes: String = self.notes.iter().map(|note| format!("{note}\n")).collect();
        let table = if self.rows.is_empty() { String::new() } else { columns(&lines) };
        format!("{}\n{}{notes}", self.title, indented(&table))
    }

    /// For a page.
    pub fn markdown(&self) -> String {
        let line = |cells: &[String]| {
            let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rule = vec!["---".to_string(); self.head.len()];
        let rows = [&self.head, &rule].into_iter().chain(&self.rows);
        let table = if self.rows.is_empty() { String::new() } else { rows.map(|row| line(row)).collect() };
        let notes: String = self.notes.iter().map(|note| format!("\n{note}\n")).collect();
        format!("## {}\n\n{table}{notes}", self.title)
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// A figure with three digits that count, and commas.
pub fn figure(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Lines of columns: the first is flush left, and so is the last, which may be long; figures between are flush right.
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(at, cell)| match at {
            at if at == 0 || at + 1 == count => format!("{cell:<0$}", widths[at]),
            at => format!("{cell:>0$}", widths[at]),
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let of = |figures: &[f64]| Spread::of(figures).map(|spread| (spread.median, spread.least, spread.most));
        assert_eq!(of(&[3.0, 1.0, 2.0]), Some((2.0, 1.0, 3.0)));
        assert_eq!(of(&[4.0, 1.0]), Some((2.5, 1.0, 4.0)));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn a_section_is_text_and_markdown() {
        let mut section = Section::new("t", &["a", "b"]);
        section.rows.push(vec!["x|y".into(), "1".into()]);
        section.notes.push("n".into());
        assert_eq!(section.text(), "t\n  a    b\n  x|y  1\nn\n");
        assert_eq!(section.markdown(), "## t\n\n| a | b |\n| --- | --- |\n| x\\|y | 1 |\n\nn\n");
    }

    #[test]
    fn figures_are_grouped_and_columns_line_up() {
        assert_eq!([figure(12.34), figure(999.6), figure(1234567.0)], ["12.3", "1,000", "1,234,567"]);
        let row = |cells: [&str; 3]| cells.map(String::from).to_vec();
        assert_eq!(columns(&[row(["a", "10", "x"]), row(["bcd", "5", ""])]), "a    10  x\nbcd   5\n");
    }
}
