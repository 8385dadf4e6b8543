//! Real processes that are stopped: by Ctrl-C between two steps, by `kill -9` anywhere, by a disk that is full or read-only.
//!
//! `REWIND_KILLS=200 cargo test -p rewind-examples --test stopping random -- --nocapture` kills as often as that.

#![cfg(unix)]

use std::error::Error;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rewind_autograd::{OnTape, Tape, Tensor};
use rewind_examples::{Interrupt, Metric, Run, run};
use rewind_rnn::file::{self, Metadata};
use rewind_rnn::optim::{Adam, Optimizer};
use rewind_rnn::{TanhRnn, unroll};

/// The file that a child process trains to.
const FILE: &str = "REWIND_TEST_RUN";
const EPOCHS: u64 = 30;
/// The parameters are a megabyte, and two steps take less time than writing them.
const HIDDEN: usize = 300;

fn train(path: &Path, epochs: u64, interrupt: Interrupt) -> Result<TanhRnn<Tensor<f32>>, Box<dyn Error>> {
    let mut cell = TanhRnn::new(2, HIDDEN, &mut StdRng::seed_from_u64(1));
    let mut adam = Adam::new(0.01);
    let mut run = Run::new("tanh", Metric::Bits, 1, path, Metadata::new(), interrupt);
    if path.exists() {
        run.resume(path, &mut cell, &mut adam, vec![])?;
    }
    while run.at.epoch() < epochs {
        let steps = [0.5, -0.25];
        for x in run.at.rest(&steps)? {
            let tape = Tape::new();
            let on_tape = cell.on(&tape);
            let outputs = unroll(&on_tape, tape.constant(Tensor::full(&[3, 1, 2], *x))).outputs();
            let loss = (outputs - 0.125).square().mean();
            adam.step(&mut cell, &loss.backward().of(&on_tape))?;
            run.history.add(loss.value().item().into(), 0.0, 1);
            run.after_step(steps.len(), &cell, &adam, &[])?;
        }
        run.after_epoch([0.0; 2], &cell, &adam, &[])?;
    }
    Ok(cell)
}

#[test]
#[ignore = "the process that the other tests stop; alone it does nothing"]
fn child() {
    if let Some(path) = std::env::var_os(FILE) {
        let epochs = std::env::var("EPOCHS").expect("the parent sets it").parse().expect("it is a number");
        let interrupt = Interrupt::on_ctrl_c().expect("the system lets it");
        std::process::exit(run::status(train(Path::new(&path), epochs, interrupt).map(drop)).into());
    }
}

fn start(path: &Path, epochs: u64) -> Child {
    let mut command = Command::new(std::env::current_exe().expect("this is a program"));
    command.args(["--exact", "child", "--ignored", "--nocapture"]).env(FILE, path).env("EPOCHS", epochs.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it can be started")
}

/// Waits until the child has written its file.
fn wait_for(child: &mut Child, path: &Path) {
    while !path.exists() {
        let ended = child.try_wait().expect("it can be asked");
        assert!(ended.is_none(), "the child ended without a file: {ended:?}");
        sleep(Duration::from_millis(1));
    }
}

fn epoch_of(path: &Path) -> Option<u64> {
    let file = file::TensorFile::open(path).ok()?;
    let epoch = file.metadata().iter().find(|(key, _)| key.ends_with("position.value.epoch"));
    epoch.and_then(|(_, epoch)| epoch.parse().ok())
}

#[test]
fn a_killed_process_leaves_a_whole_file_and_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let [path, whole] = ["run", "whole"].map(|name| folder.path().join(name));
    let expected = train(&whole, EPOCHS, Interrupt::never()).expect("nothing stops it");
    for round in 0..6 {
        let mut child = start(&path, 1_000_000);
        wait_for(&mut child, &path);
        // Killed at any of these moments, the process would leave the file as it is read here.
        let until = Instant::now() + Duration::from_millis(200 + 7 * round);
        while Instant::now() < until {
            file::TensorFile::open(&path).expect("the file is whole");
        }
        child.kill().expect("it is running");
        child.wait().expect("it was killed");
        let mut cell = TanhRnn::<Tensor<f32>>::new(2, HIDDEN, &mut StdRng::seed_from_u64(0));
        file::load(&path, &mut cell).expect("the file is whole");
    }
    std::fs::remove_file(&path).expect("it was written");
    // Killed while it trains, then gone on to the end by another process.
    let mut child = start(&path, EPOCHS);
    wait_for(&mut child, &path);
    child.kill().expect("it may have ended");
    child.wait().expect("it was killed");
    let ended = start(&path, EPOCHS).wait().expect("it ends");
    assert_eq!(ended.code(), Some(0));
    assert_eq!(std::fs::read(&path).expect("it was written"), std::fs::read(&whole).expect("it was written"));
    let resumed = train(&path, EPOCHS, Interrupt::never()).expect("nothing is left to do");
    assert_eq!(resumed.weight_hh, expected.weight_hh);
}

#[test]
fn ctrl_c_finishes_the_step_saves_and_ends_with_130() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("run");
    let mut child = start(&path, 1_000_000);
    wait_for(&mut child, &path);
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("every Unix has kill");
    assert!(sent.success());
    let ended = child.wait_with_output().expect("it ends");
    let told = String::from_utf8(ended.stderr).expect("it is text");
    assert_eq!(ended.status.code(), Some(130), "{told}");
    let at = path.display();
    assert!(told.contains(&format!("stopped and saved to {at}; --resume {at} goes on")), "{told}");
    let epoch = epoch_of(&path).expect("the file is of a run");
    train(&path, epoch + 2, Interrupt::never()).expect("the file is whole");
}

/// The names of the files in a folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it is there");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("it is listed").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_process_that_is_killed_at_random_moments_loses_nothing() {
    let kills = std::env::var("REWIND_KILLS").map_or(10, |kills| kills.parse().expect("it is a number"));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let whole = folder.path().join("whole");
    train(&whole, EPOCHS, Interrupt::never()).expect("nothing stops it");
    let expected = std::fs::read(&whole).expect("it was written");
    let runs = folder.path().join("runs");
    std::fs::create_dir(&runs).expect("there is room");
    let path = runs.join("run");
    // How long a process takes from its start to its end.
    let begun = Instant::now();
    assert!(start(&path, EPOCHS).wait().expect("it ends").success());
    let duration = begun.elapsed();
    std::fs::remove_file(&path).expect("it was written");

    let (mut rng, mut killed, mut ended, mut while_saving) = (StdRng::seed_from_u64(1), 0, 0, 0);
    while killed < kills {
        let mut child = start(&path, EPOCHS);
        sleep(duration.mul_f64(rng.random_range(0.0..0.6)));
        child.kill().expect("it is running, or has ended");
        if child.wait().expect("it is over").success() {
            // To the end, after some kills: the bits are those of a run that was not disturbed, and nothing lies beside them.
            assert!(std::fs::read(&path).expect("it was written") == expected, "after {killed} kills");
            assert_eq!(names(&runs), ["run"]);
            std::fs::remove_file(&path).expect("it was written");
            ended += 1;
            continue;
        }
        killed += 1;
        if path.exists() {
            file::TensorFile::open(&path).expect("the last good file is whole");
        }
        // One killed in the midst of saving leaves its temporary file for the next one to remove.
        let others = names(&runs).iter().filter(|name| *name != "run").count();
        assert!(others <= 1, "{:?}", names(&runs));
        while_saving += others;
    }
    assert!(start(&path, EPOCHS).wait().expect("it ends").success());
    assert!(std::fs::read(&path).expect("it was written") == expected);
    assert_eq!(names(&runs), ["run"]);
    println!("{killed} kills, {while_saving} of them while a file was written; {} runs came to their end", ended + 1);
}

/// A small file system, where the system lets the test mount one.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(bytes: usize) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mount = |options: &str| {
            let arguments = ["-t", "tmpfs", "-o", options, "tmpfs"];
            let mounted = Command::new("mount").args(arguments).arg(folder.path()).stderr(Stdio::null()).status();
            mounted.is_ok_and(|status| status.success())
        };
        if !mount(&format!("size={bytes}")) {
            println!("not tested: a file system cannot be mounted here");
            return None;
        }
        Some(SmallDisk(folder))
    }

    fn make_read_only(&self) {
        let status = Command::new("mount").args(["-o", "remount,ro"]).arg(self.0.path()).status();
        assert!(status.expect("there is mount").success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        Command::new("umount").arg(self.0.path()).status().ok();
    }
}

#[test]
fn a_full_disk_keeps_the_last_good_file() {
    // Room for one file of 1.1 MB with its optimiser, and not for a second beside it.
    let Some(disk) = SmallDisk::new(1_500_000) else { return };
    let path = disk.0.path().join("run");
    let told = train(&path, 2, Interrupt::never()).expect_err("the second file has no room").to_string();
    assert!(told.contains("cannot be written: No space left on device"), "{told}");
    assert_eq!(names(disk.0.path()), ["run"]);
    assert_eq!(epoch_of(&path), Some(1));
}

#[test]
fn a_folder_that_turns_read_only_keeps_the_last_good_file() {
    let Some(disk) = SmallDisk::new(20_000_000) else { return };
    let path = disk.0.path().join("run");
    train(&path, 2, Interrupt::never()).expect("there is room");
    let before = std::fs::read(&path).expect("it was written");
    disk.make_read_only();
    let told = train(&path, 4, Interrupt::never()).expect_err("nothing can be written").to_string();
    assert!(told.contains("cannot be written: Read-only file system"), "{told}");
    assert!(std::fs::read(&path).expect("it is there") == before);
}

#[test]
fn a_file_that_is_truncated_behind_the_programs_back_is_refused_or_replaced() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("run");
    let mut child = start(&path, 1_000_000);
    wait_for(&mut child, &path);
    // The running process goes on: its next file is whole again.
    std::fs::write(&path, "short").expect("it can be written");
    let begun = Instant::now();
    while file::TensorFile::open(&path).is_err() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it was not replaced");
        sleep(Duration::from_millis(1));
    }
    child.kill().expect("it is running");
    child.wait().expect("it was killed");
    let whole = std::fs::read(&path).expect("it is whole");
    std::fs::write(&path, &whole[..whole.len() - 7]).expect("it can be written");
    let told = train(&path, EPOCHS, Interrupt::never()).expect_err("it is not whole").to_string();
    assert!(told.contains("no whole safetensors file"), "{told}");
}
