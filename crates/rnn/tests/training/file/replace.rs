//! A file is replaced completely or not at all, whatever happens to the process that writes it.

use std::fs;

use rewind_autograd::Tensor;
use rewind_rnn::file::{self, Metadata};

use super::{Folder, Layer, empty, model};

#[test]
fn what_a_killed_run_left_is_gone_after_the_next_save() {
    let folder = Folder::new();
    let beside = |name: &str| folder.0.join(name);
    fs::write(beside(".model.safetensors.4000000000-0.tmp"), "half a file").expect("writable");
    // Not temporary files of this target: that of another target, and one with a similar name.
    fs::write(beside(".other.safetensors.4000000000-0.tmp"), "").expect("writable");
    fs::write(beside(".model.safetensors.backup.tmp"), "").expect("writable");
    // Locked, since another run is writing it.
    let written = fs::File::create(beside(".model.safetensors.4000000001-7.tmp")).expect("writable");
    written.lock().expect("a file that can be locked");

    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let rest =
        [".model.safetensors.4000000001-7.tmp", ".model.safetensors.backup.tmp", ".other.safetensors.4000000000-0.tmp"];
    assert_eq!(folder.names(), [&rest[..], &["model.safetensors"]].concat());

    // That run ends, and its lock is released.
    drop(written);
    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    assert_eq!(folder.names(), [&rest[1..], &["model.safetensors"]].concat());
}

#[test]
fn a_name_may_be_as_long_as_the_system_allows() {
    let folder = Folder::new();
    // The first two have the same beginning, the third has two bytes a character.
    for name in ["a".repeat(249) + "b", "a".repeat(250), "π".repeat(127)] {
        let path = folder.0.join(&name);
        for _ in 0..2 {
            file::save(&path, &model::<f32>(), &Metadata::new()).expect("a name of at most 255 bytes");
        }
        assert!(file::load(&path, &mut empty::<f32>()).is_ok());
    }
    assert_eq!(folder.entries(), 3, "no temporary file is left");
}

#[cfg(unix)]
#[test]
fn links_and_permissions_stay_and_what_is_no_file_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let folder = Folder::new();
    let save = || file::save(folder.file(), &model::<f32>(), &Metadata::new());
    let mode = |path: &std::path::Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;

    // A new file is as readable as any other.
    fs::write(folder.0.join("other"), "").expect("writable");
    save().expect("a good module");
    assert_eq!(mode(&folder.file()), mode(&folder.0.join("other")));
    fs::remove_file(folder.0.join("other")).and_then(|()| fs::remove_file(folder.file())).expect("both are ours");

    // A link to a private file in another folder.
    let real = folder.0.join("real");
    fs::create_dir(&real).expect("the folder is ours");
    let target = real.join("target.safetensors");
    fs::write(&target, "an older file").expect("writable");
    fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).expect("ours");
    symlink(&target, folder.file()).expect("a link can be made");
    save().expect("a good module");
    assert!(fs::symlink_metadata(folder.file()).expect("it is there").is_symlink());
    file::load(&target, &mut empty::<f32>()).expect("the file that the link leads to");
    assert_eq!(mode(&target), 0o600);

    // A link to a link to a file that is not there yet.
    fs::remove_file(&target).expect("ours");
    fs::remove_file(folder.file()).expect("the link is ours");
    symlink("real/second", folder.file()).expect("a link can be made");
    symlink("target.safetensors", real.join("second")).expect("a link can be made");
    save().expect("a good module");
    assert!(fs::symlink_metadata(folder.file()).expect("it is there").is_symlink());
    assert!(fs::symlink_metadata(&target).expect("it is there").is_file());
    file::load(&target, &mut empty::<f32>()).expect("the file that the links lead to");

    // A file that may not be written is not written.
    fs::set_permissions(&target, fs::Permissions::from_mode(0o400)).expect("ours");
    let refused = save().expect_err("it is read-only").to_string();
    assert_eq!(refused, format!("file {:?}: cannot be written: it is read-only", folder.file()));
    fs::remove_file(folder.file()).expect("the link is ours");

    // A device, a socket or a folder cannot be replaced by a file.
    fs::create_dir(folder.file()).expect("the folder is ours");
    let refused = save().expect_err("a folder").to_string();
    assert_eq!(
        refused,
        format!("file {:?}: cannot be written: it is a folder; expected a regular file", folder.file())
    );
    assert_eq!(folder.names(), ["model.safetensors", "real"]);
    let device = file::save("/dev/null", &model::<f32>(), &Metadata::new()).expect_err("a device").to_string();
    assert_eq!(device, "file \"/dev/null\": cannot be written: it is a device; expected a regular file");
}

#[test]
fn writers_at_the_same_time_do_not_disturb_one_another() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..8 {
                    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
                }
            });
        }
    });
    assert_eq!(folder.names(), ["model.safetensors"]);
    file::load(folder.file(), &mut empty::<f32>()).expect("a whole file");
}

/// Another process that saves a large module to the file, with a limit of some KB on the size of files. `signal` selects
/// what happens at the limit: an error, or the end of the process while it writes.
#[cfg(unix)]
fn save_where_files_stay_small(folder: &Folder, signal: &str) -> std::process::Output {
    let program = std::env::current_exe().expect("this test has a program");
    std::process::Command::new("sh")
        .args([
            "-c",
            &format!(
                "ulimit -c 0; ulimit -f 8; {signal} exec \"$0\" --exact file::replace::save_large --ignored --nocapture"
            ),
        ])
        .arg(program)
        .env("REWIND_SAVE_LARGE", folder.file())
        .output()
        .expect("a shell")
}

#[test]
#[ignore = "run by the two tests below, in a process that may not write large files"]
fn save_large() {
    let Some(path) = std::env::var_os("REWIND_SAVE_LARGE") else { return };
    let large = Layer { weight: Tensor::<f32>::zeros(&[100_000]), bias: None };
    if let Err(error) = file::save(path, &large, &Metadata::new()) {
        println!("REFUSED {error}");
    }
}

#[cfg(unix)]
#[test]
fn a_run_that_is_killed_while_saving_leaves_the_last_file_and_the_next_save_cleans_up() {
    let folder = Folder::new();
    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let good = fs::read(folder.file()).expect("the file just saved");
    let killed = save_where_files_stay_small(&folder, "");
    assert_eq!(killed.status.code(), None, "killed by a signal: {killed:?}");
    assert_eq!(folder.entries(), 2, "it was killed while writing: {:?}", folder.names());
    assert_eq!(fs::read(folder.file()).expect("still there"), good);
    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    assert_eq!(folder.names(), ["model.safetensors"]);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_grow_is_named_and_the_last_one_kept() {
    let folder = Folder::new();
    file::save(folder.file(), &model::<f32>(), &Metadata::new()).expect("a good module");
    let good = fs::read(folder.file()).expect("the file just saved");
    let output = save_where_files_stay_small(&folder, "trap '' XFSZ;");
    let text = String::from_utf8_lossy(&output.stdout);
    let expected = format!("REFUSED file {:?}: cannot be written: ", folder.file());
    assert!(output.status.success() && text.contains(&expected), "{output:?}");
    assert_eq!(fs::read(folder.file()).expect("still there"), good);
    assert_eq!(folder.names(), ["model.safetensors"]);
}
