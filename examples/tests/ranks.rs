//! One training on several processes: `mpirun` starts the example `14_ranks`. Needs Open MPI and Linux.
//!
//! `cargo build -p rewind-examples --features mpi --example 14_ranks && cargo test -p rewind-examples --features mpi --test ranks`

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The example, built before.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("this is a program");
    let target = tests.ancestors().nth(2).expect("it is in `deps`");
    let program = target.join("examples/14_ranks");
    assert!(program.exists(), "{program:?} is missing; build it as the head of this file says");
    program
}

/// `mpirun` with these arguments. As root, and with more ranks than cores, it wants to be told so.
fn mpirun(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new("mpirun");
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1").arg("--oversubscribe");
    command.args(arguments);
    command
}

/// A training on so many ranks.
fn training(ranks: usize, file: &Path, epochs: &str, more: &[&str]) -> Command {
    let mut command = mpirun(["-n", &ranks.to_string()]);
    command.arg(program()).arg("--file").arg(file).args(["--epochs", epochs]).args(more);
    command
}

fn successful(mut command: Command) -> Output {
    let output = command.output().expect("Open MPI is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn any_number_of_ranks_gives_the_bits_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    for shards in ["4", "7"] {
        let file = |name: &str| folder.path().join(format!("{name} {shards}"));
        let mut alone = Command::new(program());
        alone.arg("--file").arg(file("alone")).args(["--epochs", "2", "--shards", shards]);
        let expected = (successful(alone).stdout, fs::read(file("alone")).unwrap());
        // With 5 ranks and 4 shards, one rank computes none; two threads change nothing either.
        for (ranks, threads) in [(1, "1"), (2, "2"), (3, "1"), (4, "1"), (5, "1")] {
            let path = file(&ranks.to_string());
            let output = successful(training(ranks, &path, "2", &["--shards", shards, "--threads", threads]));
            assert!((output.stdout, fs::read(path).unwrap()) == expected, "{ranks} ranks, {shards} shards");
        }
    }
}

#[test]
fn a_run_goes_on_with_another_number_of_ranks() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, stopped] = ["whole", "stopped"].map(|name| folder.path().join(name));
    successful(training(2, &whole, "2", &[]));
    successful(training(3, &stopped, "1", &[]));
    assert_ne!(fs::read(&whole).unwrap(), fs::read(&stopped).unwrap());
    successful(training(4, &stopped, "2", &[]));
    assert!(fs::read(&whole).unwrap() == fs::read(&stopped).unwrap());
}

/// The process of a rank of the training that writes `file`.
fn process_of(rank: usize, file: &Path) -> Option<u32> {
    let holds = |process: &Path, what: &str, text: &str| {
        fs::read(process.join(what))
            .is_ok_and(|found| found.split(|&byte| byte == 0).any(|part| part == text.as_bytes()))
    };
    let mut processes = fs::read_dir("/proc").expect("this is Linux").filter_map(|entry| Some(entry.ok()?.path()));
    let process = processes.find(|process| {
        let rank = format!("OMPI_COMM_WORLD_RANK={rank}");
        holds(process, "environ", &rank) && holds(process, "cmdline", &file.display().to_string())
    })?;
    process.file_name()?.to_str()?.parse().ok()
}

/// Waits for what `find` finds.
fn soon<R>(mut find: impl FnMut() -> Option<R>) -> R {
    let begun = Instant::now();
    loop {
        match find() {
            Some(found) => return found,
            None if begun.elapsed() > Duration::from_secs(60) => panic!("nothing after a minute"),
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    }
}

#[test]
fn a_rank_that_is_killed_ends_the_job_and_the_run_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed] = ["whole", "killed"].map(|name| folder.path().join(name));
    successful(training(1, &whole, "20", &[]));
    let job = training(3, &killed, "20", &[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    soon(|| killed.exists().then_some(()));
    let process = soon(|| process_of(1, &killed));
    Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    let output = job.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("process rank 1"), "{told}");
    assert_ne!(fs::read(&whole).unwrap(), fs::read(&killed).unwrap());
    successful(training(2, &killed, "20", &[]));
    assert!(fs::read(&whole).unwrap() == fs::read(&killed).unwrap());
}

/// The messages of a job in which the second rank has other arguments.
fn told(second: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("there is room");
    let rank = |more: &[&str]| {
        let [file, program] = [folder.path().join("run"), program()].map(|path| path.display().to_string());
        let file = if more.contains(&"--file") { vec![] } else { vec!["--file", &file] };
        [&["-n", "1", &program][..], &file, more].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = [rank(&[]), vec![":".to_owned()], rank(second)].concat();
    let output = mpirun(all).output().expect("Open MPI is installed");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn ranks_that_differ_are_refused() {
    let expected = "expected the same module and data on all ranks, from the same seed or file";
    for (arguments, differs) in [(["--seed", "2"], "other parameters"), (["--shards", "2"], "another number of shards")]
    {
        let told = told(&arguments);
        assert!(told.contains(&format!("gradients: rank 1 has {differs} than rank 0; {expected}")), "{told}");
        assert!(told.contains("panicked, which ends the job"), "{told}");
    }
}

#[test]
fn a_rank_with_an_error_ends_the_job() {
    let told = told(&["--file", "/"]);
    assert!(told.contains("rank 1 of 2: "), "{told}");
}
