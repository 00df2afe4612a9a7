#![expect(clippy::unwrap_used, reason = "a failed test may panic")]

use std::fs::File;

use proptest::prelude::*;
use tempfile::tempdir;

use super::*;

fn names_aside(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.retain(|name| name.contains("damaged"));
    names.sort();
    names
}

/// The state that was saved last.
fn saved<T: DeserializeOwned + std::fmt::Debug>(dir: &Path) -> LoadedState<T> {
    match load(dir).unwrap() {
        Load::State(state) => state,
        other => panic!("{other:?}"),
    }
}

#[test]
fn last_saved_state_is_loaded() {
    let dir = tempdir().unwrap();
    let dir = dir.path().join("deep/down");
    assert_eq!(load::<String>(&dir).unwrap(), Load::Nothing);
    save(&dir, Time(1), &"first").unwrap();
    save(&dir, Time(42), &"second").unwrap();
    let loaded = saved::<String>(&dir);
    assert_eq!((loaded.value.as_str(), loaded.clock), ("second", Time(42)));
    assert!(loaded.saved_unix_ms > 1_700_000_000_000);
    let kept = ["state.json", "state.reserve"];
    assert!(kept.iter().all(|name| dir.join(name).exists()));
    assert_eq!(
        fs::read_dir(&dir).unwrap().count(),
        kept.len(),
        "nothing else is left behind"
    );
}

#[test]
fn state_written_over_the_reserve_is_loaded() {
    let dir = tempdir().unwrap();
    save(dir.path(), Time(1), &"first").unwrap();
    let (reserve, path) = (dir.path().join(RESERVE), dir.path().join(FILE));
    for text in ["second", "third", "fourth, and much longer than those before it"] {
        let document = StateDocument {
            schema: SCHEMA,
            saved_unix_ms: 1,
            clock: Time(2),
            boot: None,
            state: text,
        };
        exchange(&reserve, &path, &serde_json::to_vec(&document).unwrap()).unwrap();
        assert_eq!(saved::<String>(dir.path()).value, text);
    }
    save(dir.path(), Time(3), &"fifth").unwrap();
    assert_eq!(fs::metadata(&reserve).unwrap().len(), RESERVED as u64);
    assert_eq!(saved::<String>(dir.path()).value, "fifth");
}

#[test]
fn unfinished_write_keeps_the_last_state() {
    let dir = tempdir().unwrap();
    save(dir.path(), Time(1), &1_u8).unwrap();
    fs::write(dir.path().join("state.json.tmp"), "{\"schema\":1,\"sav").unwrap();
    assert_eq!(saved::<u8>(dir.path()).value, 1);
    save(dir.path(), Time(2), &2_u8).unwrap();
    assert_eq!(saved::<u8>(dir.path()).value, 2);
}

#[test]
fn unusable_state_is_set_aside_at_most_five_times() {
    let dir = tempdir().unwrap();
    let texts: [&[u8]; 7] = [
        b"",
        b"\0\0\0\0",
        b"{\"schema\":1,\"saved_unix_ms\":1,\"clock\":1,\"state\":3",
        b"{\"schema\":1,\"saved_unix_ms\":1,\"clock\":1,\"state\":\"text\"}",
        b"{\"schema\":2,\"saved_unix_ms\":1,\"clock\":1,\"state\":3}",
        b"[]",
        b"\xff\xfe",
    ];
    for text in texts {
        fs::write(dir.path().join(FILE), text).unwrap();
        let Load::SetAside(why) = load::<u8>(dir.path()).unwrap() else {
            panic!("{text:?}")
        };
        assert!(
            why.contains("; kept as ") && why.contains("state.json.damaged-"),
            "{why}"
        );
        assert!(!dir.path().join(FILE).exists());
    }
    assert_eq!(
        names_aside(dir.path()),
        (3..=7).map(|n| format!("state.json.damaged-{n}")).collect::<Vec<_>>()
    );
    assert_eq!(
        fs::read(dir.path().join("state.json.damaged-5")).unwrap(),
        texts[4],
        "kept as it was"
    );
    save(dir.path(), Time(0), &9_u8).unwrap();
    assert_eq!(saved::<u8>(dir.path()).value, 9);
}

type Make = fn(&Path);

#[test]
fn what_is_no_file_of_its_own_or_huge_is_set_aside() {
    let dir = tempdir().unwrap();
    let file = dir.path().join(FILE);
    let places: [(Make, &str); 6] = [
        (|file| fs::create_dir(file).unwrap(), "no regular file"),
        // A reader would wait for a writer.
        (
            |file| rustix::fs::mkfifoat(CWD, file, 0o600.into()).unwrap(),
            "no regular file",
        ),
        (
            |file| std::os::unix::fs::symlink("/dev/zero", file).unwrap(),
            "no regular file",
        ),
        (
            |file| std::os::unix::fs::symlink("nowhere", file).unwrap(),
            "leads to no file",
        ),
        (
            |file| std::os::unix::fs::symlink(FILE, file).unwrap(),
            "leads to no file",
        ),
        (
            |file| File::create(file).unwrap().set_len(SIZE_MAX + 1).unwrap(),
            "larger than",
        ),
    ];
    for (number, (make, why)) in places.into_iter().enumerate() {
        make(&file);
        let loaded = load::<u8>(dir.path()).unwrap();
        assert!(
            matches!(&loaded, Load::SetAside(reason) if reason.contains(why)),
            "{loaded:?}"
        );
        assert_eq!(names_aside(dir.path()).len(), DAMAGED_MAX.min(number + 1));
    }
}

#[test]
fn state_with_another_name_is_loaded() {
    let dir = tempdir().unwrap();
    save(dir.path(), Time(1), &"as said").unwrap();
    let file = dir.path().join(FILE);
    fs::hard_link(&file, dir.path().join("backup")).unwrap();
    assert_eq!(saved::<String>(dir.path()).value, "as said");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("backup", &file).unwrap();
    assert_eq!(saved::<String>(dir.path()).value, "as said");
    assert_eq!(names_aside(dir.path()).len(), 0);
}

#[test]
fn state_that_cannot_be_renamed_is_told_and_overwritten() {
    let dir = tempdir().unwrap();
    fs::write(dir.path().join(FILE), "damaged").unwrap();
    // No number is left.
    fs::create_dir(aside(dir.path(), u64::MAX)).unwrap();
    let Load::SetAside(why) = load::<u8>(dir.path()).unwrap() else {
        panic!("it is damaged")
    };
    assert!(why.contains("cannot be renamed"), "{why}");
    save(dir.path(), Time(0), &1_u8).unwrap();
    assert_eq!(saved::<u8>(dir.path()).value, 1);
}

#[test]
fn state_set_aside_is_told_until_another_is_saved() {
    let dir = tempdir().unwrap();
    save(dir.path(), Time(0), &1_u8).unwrap();
    fs::write(dir.path().join(FILE), "damaged").unwrap();
    for _ in 0..2 {
        let Load::SetAside(why) = load::<u8>(dir.path()).unwrap() else {
            panic!("forgotten")
        };
        assert!(
            why.contains("kept as ") && why.contains("state.json.damaged-1"),
            "{why}"
        );
    }
    // A full disk.
    let document = text(1, Time(2), &2_u8).unwrap();
    exchange(&dir.path().join(RESERVE), &dir.path().join(FILE), &document).unwrap();
    assert_eq!(saved::<u8>(dir.path()).value, 2);
}

#[test]
fn failed_write_names_the_folder() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = save(&file, Time(0), &1_u8).unwrap_err().to_string();
    assert!(
        error.contains("file/state.json") && error.contains("agent.state_dir"),
        "{error}"
    );
    assert!(matches!(lock(&file), Err(LockError::State(_))));
}

#[test]
fn second_agent_is_rejected_with_the_pid_of_the_first() {
    let dir = tempdir().unwrap();
    let held = lock(dir.path()).unwrap();
    let Err(LockError::Held { pid, .. }) = lock(dir.path()) else {
        panic!("locked twice")
    };
    assert_eq!(pid, Some(std::process::id()));
    let message = lock(dir.path()).unwrap_err().to_string();
    assert!(message.contains(&format!("(pid {})", std::process::id())), "{message}");
    drop(held);
    lock(dir.path()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_it_fail_or_panic(bytes in prop::collection::vec(any::<u8>(), 0..100), cut in 0..200_usize) {
        let dir = tempdir().unwrap();
        fs::write(dir.path().join(FILE), &bytes).unwrap();
        prop_assert!(matches!(load::<Vec<u64>>(dir.path()).unwrap(), Load::SetAside(_)));
        save(dir.path(), Time(7), &vec![1_u64, 2, 3]).unwrap();
        let whole = fs::read(dir.path().join(FILE)).unwrap();
        fs::write(dir.path().join(FILE), &whole[..cut.min(whole.len())]).unwrap();
        let is_whole = matches!(load::<Vec<u64>>(dir.path()).unwrap(), Load::State(_));
        prop_assert_eq!(is_whole, cut >= whole.trim_ascii_end().len());
    }
}

#[test]
fn refusal_names_its_reason_once_and_the_remedy_of_that_reason() {
    let dir = tempdir().unwrap();
    for (code, remedy) in [
        (28, "free space"),
        (122, "free space"),
        (
            30,
            "read-only for the agent alone, not its disk: name it in ReadWritePaths=",
        ),
        (16, "mount agent.state_dir as a whole"),
        (18, "mount agent.state_dir as a whole"),
        (5, "has an error: look at dmesg"),
        (117, "has an error: look at dmesg"),
        (74, "has an error: look at dmesg"),
        (13, "a folder the agent can write to"),
    ] {
        let error = StateError::new("write", dir.path().join(FILE), io::Error::from_raw_os_error(code));
        assert!(error.to_string().contains(remedy), "{error}");
        assert!(std::error::Error::source(&error).is_none(), "it would be said twice");
    }
    let stopped = Mount::parse(b"1 0 8:1 / / rw - ext4 /dev/a rw,emergency_ro");
    let after_an_error = remedy_among(&io::ErrorKind::ReadOnlyFilesystem.into(), dir.path(), &stopped);
    assert!(after_an_error.contains("mounted read-only, as the kernel does after an error: look at dmesg"));
}

#[test]
fn disk_is_read_only_where_its_file_system_is_and_not_one_mount_of_it() {
    let dir = tempdir().unwrap();
    let place = fs::canonicalize(dir.path()).unwrap();
    for (of_mount, of_system, expected) in [("rw", "rw", false), ("ro", "rw", false), ("rw", "ro", true)] {
        let table = format!(
            "1 0 8:1 / / rw - ext4 /dev/a ro\n2 1 8:2 / {} {of_mount} - ext4 /dev/b {of_system}\n",
            place.display()
        );
        let mounts = Mount::parse(table.as_bytes());
        assert_eq!(is_disk_read_only(dir.path(), &mounts), expected, "{table}");
        assert_eq!(
            is_disk_read_only(&dir.path().join("yet/to/come"), &mounts),
            expected,
            "{table}"
        );
    }
}
