//! What zones' abbreviations stand for.
//!
//! Sources: the IANA time zone database (every alphabetic abbreviation in use since 2019; a test holds the
//! table against it), RFC 5322, and what Java, Windows and PostgreSQL write of zones that the database now
//! gives numeric abbreviations. An abbreviation that has stood for different offsets is not guessed.

/// What an abbreviation says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abbreviation {
    /// This offset, in minutes east of UTC.
    Offset(i32),
    /// One of several.
    Ambiguous,
}

const AMBIGUOUS: Abbreviation = Abbreviation::Ambiguous;

/// The longest abbreviation that is known.
pub(crate) const MAX_LETTERS: usize = 5;

/// What `word`, in capital letters, says of the offset; none where it is no zone's. Words that logs are full
/// of, such as the method GET (also Georgia's time) or the tag ACT (also Acre's), are none.
pub(crate) fn abbreviation(word: &[u8]) -> Option<Abbreviation> {
    use Abbreviation::Offset;
    Some(match word {
        b"UTC" | b"GMT" | b"UT" | b"UCT" | b"ZULU" | b"WET" => Offset(0),
        b"CET" | b"WEST" | b"MET" | b"MEZ" | b"WAT" => Offset(60),
        b"CEST" | b"MEST" | b"MESZ" | b"EET" | b"SAST" | b"CAT" => Offset(120),
        b"EEST" | b"MSK" | b"IDT" | b"EAT" | b"TRT" => Offset(180),
        b"IRST" => Offset(210),
        b"SAMT" => Offset(240),
        b"PKT" | b"YEKT" | b"UZT" => Offset(300),
        b"NPT" => Offset(345),
        b"ICT" | b"WIB" | b"NOVT" | b"KRAT" => Offset(420),
        b"HKT" | b"SGT" | b"MYT" | b"PHT" | b"PHST" | b"AWST" | b"WITA" | b"IRKT" => Offset(480),
        b"JST" | b"KST" | b"WIT" | b"YAKT" | b"AWDT" => Offset(540),
        b"ACST" => Offset(570),
        b"AEST" | b"CHST" | b"VLAT" => Offset(600),
        b"ACDT" => Offset(630),
        b"AEDT" => Offset(660),
        b"NZST" => Offset(720),
        b"NZDT" => Offset(780),
        b"NDT" => Offset(-150),
        b"NST" => Offset(-210),
        b"BRT" => Offset(-180),
        b"BRST" => Offset(-120),
        b"EDT" => Offset(-240),
        b"EST" => Offset(-300),
        b"MDT" => Offset(-360),
        b"MST" | b"PDT" => Offset(-420),
        b"AKDT" => Offset(-480),
        b"HDT" | b"AKST" => Offset(-540),
        b"HST" => Offset(-600),
        // China, Cuba, the middle of North America.
        b"CST" | b"CDT" => AMBIGUOUS,
        // India, Ireland, Israel.
        b"IST" => AMBIGUOUS,
        // Britain, Bangladesh, Bougainville.
        b"BST" | b"BDST" | b"BDT" => AMBIGUOUS,
        // The west of North America, the Philippines.
        b"PST" => AMBIGUOUS,
        // The Atlantic coast, Arabia.
        b"AST" | b"ADT" => AMBIGUOUS,
        // Samoa, Singapore, the Solomon Islands.
        b"SST" | b"WST" => AMBIGUOUS,
        // The Gulf, South Georgia, Guam.
        b"GST" => AMBIGUOUS,
        // Changed their offsets, or stand for several zones.
        b"MSD" | b"AMT" | b"AMST" | b"ECT" | b"CCT" | b"PYT" | b"PYST" | b"NFT" | b"NOVST" | b"ALMT" | b"WAST"
        | b"LHST" | b"LHDT" | b"KDT" | b"HKST" | b"MMT" | b"CLT" | b"CLST" | b"UYT" | b"UYST" | b"IRDT" | b"AZT"
        | b"AZST" | b"GYT" | b"FKT" | b"FKST" | b"PGT" | b"FJT" | b"FJST" | b"TJT" | b"TMT" | b"KGT" | b"AFT"
        | b"MVT" | b"BTT" | b"BNT" | b"OMST" | b"MAGT" | b"PETT" | b"AZOT" | b"GILT" | b"CHAST" | b"CHADT"
        | b"PKST" | b"CAST" | b"MSKS" => AMBIGUOUS,
        _ => return None,
    })
}

/// Written out, as Java's `zzzz` and JavaScript write them.
const WRITTEN_OUT: [(&str, i32); 25] = [
    ("Coordinated Universal Time", 0),
    ("Greenwich Mean Time", 0),
    ("Western European Standard Time", 0),
    ("Central European Standard Time", 60),
    ("Central European Summer Time", 120),
    ("Eastern European Standard Time", 120),
    ("Eastern European Summer Time", 180),
    ("Moscow Standard Time", 180),
    ("India Standard Time", 330),
    ("Indochina Time", 420),
    ("China Standard Time", 480),
    ("Hong Kong Standard Time", 480),
    ("Singapore Standard Time", 480),
    ("Japan Standard Time", 540),
    ("Korean Standard Time", 540),
    ("Eastern Standard Time", -300),
    ("Pacific Daylight Time", -420),
    ("中国标准时间", 480),
    ("北京时间", 480),
    ("日本标准时间", 540),
    ("韩国标准时间", 540),
    ("印度标准时间", 330),
    ("协调世界时", 0),
    ("协调世界时间", 0),
    ("格林尼治标准时间", 0),
];

/// How names of zones end in other languages.
const ENDS: [&str; 6] = ["标准时间", "夏令时间", "標準時", "夏時間", "Normalzeit", "Sommerzeit"];

/// A name with its end is no longer than this.
const MAX_NAME_BYTES: usize = 60;

/// The offset in minutes that a name written out stands for, and how long it is; an ambiguous one where
/// `text` begins with words that end in "Time" as zones' names do, and is not known.
pub(crate) fn written_out(text: &[u8]) -> Option<(Abbreviation, usize)> {
    let known =
        WRITTEN_OUT.iter().filter(|(name, _)| text.starts_with(name.as_bytes())).max_by_key(|(name, _)| name.len());
    if let Some((name, minutes)) = known {
        return Some((Abbreviation::Offset(*minutes), name.len()));
    }
    let part = |b: &&u8| b.is_ascii_alphabetic() || !b.is_ascii() || matches!(b, b' ' | b'-');
    let name = &text[..text.iter().take(MAX_NAME_BYTES).take_while(part).count()];
    let end = |end: &&str| Some(memchr::memmem::find(name, end.as_bytes())? + end.len());
    if !name.starts_with(b" ")
        && let Some(length) = ENDS.iter().filter_map(end).min()
    {
        return Some((AMBIGUOUS, length));
    }
    // Two to five words in a row, each with a capital: "Pacific Standard Time".
    let (mut at, mut words, mut last): (usize, usize, &[u8]) = (0, 0, b"");
    while words < 5 {
        let word = &text[at..];
        let length = word.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        if length < 2 || !word[0].is_ascii_uppercase() {
            return None;
        }
        let kind = last;
        last = &word[..length];
        (at, words) = (at + length, words + 1);
        if last == b"Time" {
            let of_a_zone = [&b"Standard"[..], b"Daylight", b"Summer", b"Mean", b"Universal"].contains(&kind);
            return of_a_zone.then_some((AMBIGUOUS, at));
        }
        if text.get(at) != Some(&b' ') {
            return None;
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::{Offset as _, TimeDelta, TimeZone as _};
    use chrono_tz::OffsetName as _;

    use super::*;

    #[test]
    fn the_table_is_what_the_database_says() {
        let mut offsets: BTreeMap<String, BTreeSet<i32>> = BTreeMap::new();
        for zone in chrono_tz::TZ_VARIANTS {
            // Each fortnight: no zone changes twice within one and stays for less.
            let mut at = chrono::NaiveDate::from_ymd_opt(2019, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap();
            while at.and_utc().timestamp() < 2_100_000_000 {
                let offset = zone.offset_from_utc_datetime(&at);
                if let Some(name) = offset.abbreviation()
                    && name.bytes().all(|b| b.is_ascii_alphabetic())
                {
                    offsets.entry(name.to_ascii_uppercase()).or_default().insert(offset.fix().local_minus_utc() / 60);
                }
                at += TimeDelta::days(14);
            }
        }
        for (name, offsets) in offsets {
            match abbreviation(name.as_bytes()) {
                Some(Abbreviation::Offset(minutes)) => assert_eq!(offsets, BTreeSet::from([minutes]), "{name}"),
                Some(Abbreviation::Ambiguous) => {}
                None => panic!("{name} is not known: {offsets:?}"),
            }
        }
    }

    #[test]
    fn names_are_also_written_out() {
        let check = |text: &str, expected| assert_eq!(written_out(text.as_bytes()), expected, "{text}");
        check("China Standard Time)", Some((Abbreviation::Offset(480), 19)));
        check("北京时间 hello", Some((Abbreviation::Offset(480), 12)));
        check("Nowhere Standard Time", Some((AMBIGUOUS, 21)));
        check("Central Standard Time", Some((AMBIGUOUS, 21)));
        check("北美东部标准时间 x", Some((AMBIGUOUS, 24)));
        check("Japanische Normalzeit", Some((AMBIGUOUS, 21)));
        check("启动", None);
        check("Startup Time", None);
        check("Server Started", None);
        check("X", None);
        check("", None);
    }
}
