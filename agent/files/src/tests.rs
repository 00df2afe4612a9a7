#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown, symlink};
use std::path::Path;

use rustix::fs::{CWD, Mode, mkfifoat};

use crate::{Dir, Refusal, is_link, replace_file, write_file};

/// A directory `in` with `in/a/b/file`, and beside it `out/file`, with content `outside`.
fn tree() -> (tempfile::TempDir, Dir) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("in/a/b")).unwrap();
    fs::create_dir(root.path().join("out")).unwrap();
    fs::write(root.path().join("in/a/b/file"), "inside").unwrap();
    fs::write(root.path().join("out/file"), "outside").unwrap();
    let dir = Dir::open(&root.path().join("in")).unwrap();
    (root, dir)
}

fn outside(root: &tempfile::TempDir) -> String {
    fs::read_to_string(root.path().join("out/file")).unwrap()
}

#[test]
fn entries_are_read_and_listed_below_the_directory() {
    let (_root, dir) = tree();
    assert_eq!(dir.read_file("a/b/file", 10).unwrap(), b"inside");
    assert!(dir.read_file("a/b/file", 5).is_err(), "larger than the limit");
    assert_eq!(dir.names().unwrap(), ["a"]);
    assert_eq!(dir.dir("a/b").unwrap().names().unwrap(), ["file"]);
    assert!(dir.has("a/b").unwrap() && !dir.has("a/none/file").unwrap());
    assert!(dir.entry("a").unwrap().is_dir());
}

#[test]
fn link_anywhere_on_the_way_is_refused_by_name() {
    let (root, dir) = tree();
    symlink("../out", root.path().join("in/dir")).unwrap();
    symlink("../out/file", root.path().join("in/file")).unwrap();
    symlink("a", root.path().join("in/within")).unwrap();
    for error in [
        dir.dir("dir").unwrap_err(),
        dir.dir("within/b").unwrap_err(),
        dir.file("dir/file").unwrap_err(),
        dir.file("file").unwrap_err(),
        dir.file_to_write("file").unwrap_err(),
        dir.create("dir/new", 0o600).unwrap_err(),
        dir.make_dir("dir/new", 0o700).map(drop).unwrap_err(),
        dir.remove_file("dir/file").unwrap_err(),
        dir.remove_all("dir/file").unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(
            is_link(&error) && text.contains("/in/") && text.contains("in its place"),
            "{text}"
        );
    }
    assert!(dir.entry("file").unwrap().is_symlink());
    assert_eq!(outside(&root), "outside");
}

#[test]
fn what_is_in_the_way_is_named_and_not_what_lies_behind_it() {
    let (root, dir) = tree();
    fs::write(root.path().join("in/a/plain"), "").unwrap();
    symlink("b", root.path().join("in/a/link")).unwrap();
    for (way, why) in [("a/plain", "is no directory: remove it"), ("a/link", "a symbolic link")] {
        let place = Path::new(way).join("c/file");
        for error in [
            dir.entry(&place).unwrap_err(),
            dir.has(&place).unwrap_err(),
            dir.dir(&place).unwrap_err(),
            dir.file(&place).unwrap_err(),
            dir.create(&place, 0o600).unwrap_err(),
            dir.remove_file(&place).unwrap_err(),
            dir.remove_all(&place).unwrap_err(),
        ] {
            let text = error.to_string();
            let named = format!("{}: {why}", dir.path().join(way).display());
            assert!(text.starts_with(&named), "{text}");
            let nothing_there = error.kind() == std::io::ErrorKind::NotADirectory;
            assert_eq!(nothing_there, way == "a/plain", "{text}");
        }
    }
}

#[test]
fn directory_in_the_place_of_a_file_is_not_removed_but_named() {
    let (_root, dir) = tree();
    let text = dir.remove_file("a/b").unwrap_err().to_string();
    assert!(text.ends_with("in/a/b: is no regular file: remove it"), "{text}");
    assert!(dir.replace_file(OsStr::new("a"), b"").is_err());
    assert!(dir.has("a/b/file").unwrap());
}

#[test]
fn path_that_leads_out_is_refused() {
    let (root, dir) = tree();
    let out = root.path().join("out/file");
    for place in [Path::new("../out/file"), Path::new("a/../../out/file"), &out] {
        assert!(
            Refusal::find(&dir.file(place).unwrap_err()).is_some(),
            "{}",
            place.display()
        );
    }
    for name in ["..", ".", "a/b", "a/", ""] {
        assert!(dir.rename(OsStr::new(name), &dir, OsStr::new("x")).is_err(), "{name}");
        assert!(dir.rename(OsStr::new("a"), &dir, OsStr::new(name)).is_err(), "{name}");
    }
}

#[test]
fn pipe_and_second_name_are_refused_without_waiting() {
    let (root, dir) = tree();
    mkfifoat(CWD, root.path().join("in/pipe"), Mode::RWXU).unwrap();
    fs::hard_link(root.path().join("out/file"), root.path().join("in/second")).unwrap();
    for name in ["pipe", "second", "a"] {
        let errors = [dir.file(name).unwrap_err(), dir.file_to_write(name).unwrap_err()];
        for error in errors {
            assert!(Refusal::find(&error).is_some(), "{name}: {error}");
        }
    }
}

#[test]
fn create_and_rename_never_replace() {
    let (root, dir) = tree();
    symlink("../out/new", root.path().join("in/link")).unwrap();
    for name in ["link", "a"] {
        assert!(dir.create(name, 0o600).is_err(), "{name}");
        assert!(dir.make_dir(name, 0o700).is_err(), "{name}");
    }
    drop(dir.create("new", 0o600).unwrap());
    assert!(dir.rename(OsStr::new("new"), &dir, OsStr::new("a")).is_err());
    let inner = dir.dir("a/b").unwrap();
    assert!(dir.rename(OsStr::new("new"), &inner, OsStr::new("file")).is_err());
    dir.rename(OsStr::new("new"), &inner, OsStr::new("new")).unwrap();
    assert!(dir.has("a/b/new").unwrap() && !root.path().join("out/new").exists());
}

#[test]
fn remove_all_removes_links_and_not_their_targets() {
    let (root, dir) = tree();
    symlink("../../out", root.path().join("in/a/dir")).unwrap();
    symlink("../../../out/file", root.path().join("in/a/b/link")).unwrap();
    dir.remove_all("a").unwrap();
    dir.remove_all("a").unwrap();
    dir.remove_all("none/at/all").unwrap();
    assert_eq!(dir.names().unwrap(), [] as [&str; 0]);
    assert_eq!(outside(&root), "outside");
}

#[test]
fn remove_all_of_a_very_deep_tree_is_refused() {
    let (root, dir) = tree();
    let mut at = dir.dir("a").unwrap();
    for _ in 0..300 {
        at = at.make_dir("d", 0o700).unwrap();
    }
    let error = dir.remove_all("a").unwrap_err().to_string();
    assert!(error.contains("too deeply") && error.contains("by hand"), "{error}");
    drop(root);
}

#[test]
fn replaced_file_is_no_planted_one() {
    let (root, dir) = tree();
    let (path, out) = (root.path().join("in/state"), root.path().join("out/file"));
    symlink(&out, root.path().join("in/state.tmp")).unwrap();
    symlink(&out, &path).unwrap();
    replace_file(&path, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
    assert_eq!(dir.names().unwrap(), ["a", "state"]);
    symlink(&out, root.path().join("in/link")).unwrap();
    assert!(is_link(&write_file(&root.path().join("in/link"), b"new").unwrap_err()));
    write_file(&path, b"x").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"x");
    assert_eq!(outside(&root), "outside");
}

#[test]
fn private_directory_is_of_this_user_and_closed_to_others() {
    let (root, dir) = tree();
    let path = root.path().join("in/side");
    drop(dir.make_dir("side", 0o700).unwrap());
    dir.private_dir("side").unwrap();
    for mode in [0o750, 0o701, 0o777] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(dir.private_dir("side").is_err(), "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    if rustix::process::geteuid().is_root() {
        lchown(&path, Some(4711), Some(4711)).unwrap();
        let error = dir.private_dir("side").unwrap_err().to_string();
        assert!(error.contains("in/side") && error.contains("remove it"), "{error}");
    }
}

#[test]
fn configured_path_follows_links_of_this_user() {
    let (root, _dir) = tree();
    symlink("in", root.path().join("one")).unwrap();
    symlink(root.path().join("one"), root.path().join("two")).unwrap();
    symlink("../two/a/../a", root.path().join("out/three")).unwrap();
    let found = Dir::open(&root.path().join("out/three/b")).unwrap();
    assert_eq!(found.names().unwrap(), ["file"]);
    symlink("loop", root.path().join("loop")).unwrap();
    assert!(Dir::open(&root.path().join("loop")).is_err());
    let file = Dir::open(&root.path().join("in/a/b/file")).unwrap_err();
    assert_eq!(file.kind(), std::io::ErrorKind::NotADirectory);
    let none = Dir::open(&root.path().join("one/none")).unwrap_err();
    assert_eq!(none.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn configured_path_refuses_link_of_a_stranger_to_what_is_not_his() {
    if !rustix::process::geteuid().is_root() {
        // Only root can make the links of others.
        return;
    }
    let (root, _dir) = tree();
    let link = root.path().join("link");
    symlink("in", &link).unwrap();
    lchown(&link, Some(4711), Some(4711)).unwrap();
    for path in [link.clone(), link.join("a")] {
        let error = Dir::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("/link: ") && error.contains("name the directory itself"),
            "{error}"
        );
    }
    lchown(root.path().join("in"), Some(4711), Some(4711)).unwrap();
    Dir::open(&link).unwrap();
}
