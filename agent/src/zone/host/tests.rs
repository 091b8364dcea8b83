use std::fs;
use std::os::unix::fs::symlink;

use super::super::Local;
use super::*;

/// A machine's files, with the zone files of the one the tests run on.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("zoneinfo/Asia")).unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        let machine = Self { root };
        fs::write(machine.path("zoneinfo/Asia/Shanghai"), shanghai()).unwrap();
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn find(&self, tz: Option<&str>) -> HostZone {
        Places {
            tz: tz.map(Into::into),
            zoneinfo: self.path("zoneinfo"),
            localtime: self.path("etc/localtime"),
            timezone: self.path("etc/timezone"),
        }
        .find()
    }
}

/// A zone file of the second version: no transitions, one type (8 hours east, "CST"), and the rule.
fn shanghai() -> Vec<u8> {
    let block = |version: u8| {
        let mut block = b"TZif".to_vec();
        block.push(version);
        block.extend([0; 15]);
        for count in [0u32, 0, 0, 0, 1, 4] {
            block.extend(count.to_be_bytes());
        }
        block.extend(28_800u32.to_be_bytes());
        block.extend([0, 0]);
        block.extend(b"CST\0");
        block
    };
    [block(b'2'), block(b'2'), b"\nCST-8\n".to_vec()].concat()
}

fn offset(zone: &HostZone) -> Result<i32, String> {
    match zone.zone.as_ref().map_err(Clone::clone)?.local(1_764_208_814_000) {
        Some(Local::Once(seconds)) => Ok(seconds / 60),
        other => Err(format!("{other:?}")),
    }
}

fn check(zone: &HostZone, name: &str, minutes: i32) {
    assert_eq!((zone.name.as_str(), offset(zone)), (name, Ok(minutes)));
}

fn check_unknown(zone: &HostZone, why: &str) {
    let problem = zone.problem().expect("not known");
    assert!(problem.contains(why) && zone.name.is_empty(), "{problem}");
}

#[test]
fn the_variable_goes_before_the_file() {
    let machine = Machine::new();
    fs::copy(machine.path("zoneinfo/Asia/Shanghai"), machine.path("etc/localtime")).unwrap();
    check(&machine.find(Some("Asia/Shanghai")), "Asia/Shanghai", 480);
    check(&machine.find(Some(":Asia/Shanghai")), "Asia/Shanghai", 480);
    check(&machine.find(Some("")), "UTC", 0);
    check(&machine.find(Some(":")), "UTC", 0);
    check(&machine.find(Some("JST-9")), "JST-9", 540);
    check(&machine.find(Some("<+08>-8")), "<+08>-8", 480);
    check(&machine.find(Some("EST5EDT,M3.2.0,M11.1.0")), "EST5EDT,M3.2.0,M11.1.0", -300);
    // Without rules: those of the United States.
    check(&machine.find(Some("EST5EDT")), "EST5EDT", -300);
    check(&machine.find(Some("UTC")), "UTC", 0);
    let path = machine.path("zoneinfo/Asia/Shanghai").display().to_string();
    check(&machine.find(Some(&path)), &path, 480);
    check(&machine.find(Some(&format!(":{path}"))), &path, 480);
}

#[test]
fn what_libc_would_take_for_utc_without_a_word_is_not_known() {
    let machine = Machine::new();
    check_unknown(&machine.find(Some("Asia/Tokyo")), "is not there");
    check_unknown(&machine.find(Some("Mars")), "TZ=Mars is no rule");
    check_unknown(&machine.find(Some("CST")), "TZ=CST is no rule");
    fs::write(machine.path("zoneinfo/Broken"), "not a zone").unwrap();
    check_unknown(&machine.find(Some("Broken")), "not a time zone file");
    check_unknown(&machine.find(Some("Asia")), "is not a file");
    let long = "x".repeat(5_000);
    assert!(machine.find(Some(&long)).problem().unwrap().len() <= MAX_SAID_BYTES);
}

#[test]
fn the_local_file_may_be_a_link_or_a_copy() {
    let machine = Machine::new();
    symlink(machine.path("zoneinfo/Asia/Shanghai"), machine.path("etc/localtime")).unwrap();
    check(&machine.find(None), "Asia/Shanghai", 480);
    fs::remove_file(machine.path("etc/localtime")).unwrap();
    symlink("../zoneinfo/Asia/Shanghai", machine.path("etc/localtime")).unwrap();
    check(&machine.find(None), "Asia/Shanghai", 480);
    fs::remove_file(machine.path("etc/localtime")).unwrap();
    fs::write(machine.path("etc/localtime"), shanghai()).unwrap();
    check(&machine.find(None), &machine.path("etc/localtime").display().to_string(), 480);
    fs::write(machine.path("etc/timezone"), "Asia/Shanghai\n").unwrap();
    check(&machine.find(None), "Asia/Shanghai", 480);
    // `date` reads the file alone.
    fs::write(machine.path("etc/timezone"), "Europe/Berlin\n").unwrap();
    check(&machine.find(None), &machine.path("etc/localtime").display().to_string(), 480);
}

#[test]
fn a_missing_or_broken_local_file() {
    let machine = Machine::new();
    check(&machine.find(None), "UTC", 0);
    fs::write(machine.path("etc/timezone"), "Etc/UTC\n").unwrap();
    check(&machine.find(None), "UTC", 0);
    fs::write(machine.path("etc/timezone"), "Asia/Shanghai\n").unwrap();
    check_unknown(&machine.find(None), "says Asia/Shanghai");
    symlink(machine.path("zoneinfo/Asia/Gone"), machine.path("etc/localtime")).unwrap();
    check_unknown(&machine.find(None), "which is not there");
    fs::remove_file(machine.path("etc/localtime")).unwrap();
    fs::write(machine.path("etc/localtime"), "").unwrap();
    check_unknown(&machine.find(None), "not a time zone file");
    fs::write(machine.path("etc/localtime"), &shanghai()[..50]).unwrap();
    check_unknown(&machine.find(None), "not a time zone file");
    let mut with_leap_seconds = shanghai();
    with_leap_seconds[31] = 27;
    fs::write(machine.path("etc/localtime"), with_leap_seconds).unwrap();
    check_unknown(&machine.find(None), "not a time zone file");
    fs::remove_file(machine.path("etc/localtime")).unwrap();
    fs::create_dir(machine.path("etc/localtime")).unwrap();
    check_unknown(&machine.find(None), "is not a file");
}
