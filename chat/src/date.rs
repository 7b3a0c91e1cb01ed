//! `strftime`, as far as templates write dates with it.

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A day and a time as a clock on the wall shows them.
#[derive(Clone, Copy)]
struct Moment {
    year: i64,
    /// From 0.
    month: usize,
    /// From 1.
    day: i64,
    /// From 1.
    day_of_year: i64,
    /// From Sunday, 0.
    weekday: usize,
    /// Seconds since midnight.
    second: i64,
}

impl Moment {
    /// `seconds` since 1970-01-01 00:00 of the same clock.
    fn of(seconds: i64) -> Self {
        // Far enough for any clock, and near enough for any sum below.
        let seconds = seconds.clamp(-(1 << 40), 1 << 40);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let mut year = 1970 + days.div_euclid(366);
        while days_before(year + 1) <= days {
            year += 1;
        }
        let day_of_year = days - days_before(year);
        let mut month = 0;
        let mut day = day_of_year;
        while day >= length(year, month) {
            day -= length(year, month);
            month += 1;
        }
        let weekday = (days + 4).rem_euclid(7) as usize;
        Self { year, month, day: day + 1, day_of_year: day_of_year + 1, weekday, second }
    }
}

/// Days from 1970-01-01 to the first of a year.
fn days_before(year: i64) -> i64 {
    let before = year - 1;
    let leaps = before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400);
    (year - 1970) * 365 + leaps - (1969 / 4 - 1969 / 100 + 1969 / 400)
}

fn is_leap(year: i64) -> bool {
    days_before(year + 1) - days_before(year) == 366
}

/// Days of a month, counted from 0.
fn length(year: i64, month: usize) -> i64 {
    match month {
        1 => 28 + i64::from(is_leap(year)),
        3 | 5 | 8 | 10 => 30,
        _ => 31,
    }
}

/// The moment in this format; directives that are not known stay as they are, as in glibc.
pub fn strftime(format: &str, now: i64) -> String {
    let moment = Moment::of(now);
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut directive = rest.next();
        let plain = directive == Some('-');
        if plain {
            directive = rest.next();
        }
        match directive {
            Some(directive) => match field(directive, moment) {
                Some(text) if plain => {
                    let short = text.trim_start_matches(['0', ' ']);
                    out.push_str(if short.is_empty() { "0" } else { short });
                }
                Some(text) => out.push_str(&text),
                None => out.extend(['%', directive]),
            },
            None => out.push('%'),
        }
    }
    out
}

fn field(directive: char, moment: Moment) -> Option<String> {
    let Moment { year, month, day, day_of_year, weekday, second } = moment;
    let (hour, minute) = (second / 3600, second / 60 % 60);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let short = |name: &str| name.get(..3).unwrap_or(name).to_string();
    Some(match directive {
        'Y' => year.to_string(),
        'y' => format!("{:02}", year.rem_euclid(100)),
        'm' => format!("{:02}", month + 1),
        'B' => MONTHS[month].to_string(),
        'b' | 'h' => short(MONTHS[month]),
        'd' => format!("{day:02}"),
        'e' => format!("{day:>2}"),
        'j' => format!("{day_of_year:03}"),
        'A' => DAYS[weekday].to_string(),
        'a' => short(DAYS[weekday]),
        'w' => weekday.to_string(),
        'u' => (if weekday == 0 { 7 } else { weekday }).to_string(),
        'H' => format!("{hour:02}"),
        'I' => format!("{twelve:02}"),
        'M' => format!("{minute:02}"),
        'S' => format!("{:02}", second % 60),
        'p' => (if hour < 12 { "AM" } else { "PM" }).to_string(),
        'F' => format!("{year}-{:02}-{day:02}", month + 1),
        'D' | 'x' => format!("{:02}/{day:02}/{:02}", month + 1, year.rem_euclid(100)),
        'T' | 'X' => format!("{hour:02}:{minute:02}:{:02}", second % 60),
        'R' => format!("{hour:02}:{minute:02}"),
        'f' => "000000".to_string(),
        // The clock on the wall does not say its zone, nor does Python's when it is asked so.
        'z' | 'Z' => String::new(),
        'n' => "\n".to_string(),
        't' => "\t".to_string(),
        '%' => "%".to_string(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::strftime;

    #[test]
    fn dates_are_those_of_the_calendar() {
        // Found with Python's datetime.
        for (now, found) in [
            (0, "Thu 1970-01-01 00:00:00 AM 001"),
            (951_826_620, "Tue 2000-02-29 12:17:00 PM 060"),
            (1_735_689_599, "Tue 2024-12-31 23:59:59 PM 366"),
            (4_107_542_400, "Mon 2100-03-01 00:00:00 AM 060"),
            (-1, "Wed 1969-12-31 23:59:59 PM 365"),
        ] {
            assert_eq!(strftime("%a %Y-%m-%d %H:%M:%S %p %j", now), found, "{now}");
        }
        assert_eq!(strftime("%-d %B %y, %I:%M %%, %-H %Q %", 0), "1 January 70, 12:00 %, 0 %Q %");
        strftime("%A", i64::MAX);
        strftime("%A", i64::MIN);
    }
}
