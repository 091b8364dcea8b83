//! What common programs write, a line each: `loggers.txt` beside this file.

use super::*;

#[test]
fn reads_what_the_common_loggers_write() {
    let mut wrong = Vec::new();
    let mut lines = 0;
    for entry in include_str!("loggers.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (expected, line) = entry.split_once(" | ").expect("a time, a format, and a line");
        let (time, format) = expected.split_once(' ').expect("a time and a format");
        let format = format.trim();
        let time = (time != "-").then_some(time);
        lines += 1;
        let now = Now { at: at(NOW), live: true };
        for by in ["auto", format] {
            let mut reader = reader(by, "Asia/Shanghai");
            let read = read_twice(&mut reader, line, now);
            if read.as_deref() != time {
                wrong.push(format!("{by}: {line}\n  read  {read:?}\n  right {time:?}"));
            } else if by == "auto" && read.is_some() && reader.format_name() != format {
                wrong.push(format!("{line}: found as {}, is {format}", reader.format_name()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(lines > 60, "{lines}");
}
