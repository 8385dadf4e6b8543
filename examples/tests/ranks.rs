//! One training on several processes: `mpirun` starts the example `14_ranks` and the task programs. Needs Open MPI and Linux.
//!
//! `cargo build -p rewind-examples --features mpi --examples && cargo test -p rewind-examples --features mpi --test ranks`

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The first example, built before.
fn program() -> PathBuf {
    example("14_ranks")
}

fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("this is a program");
    let target = tests.ancestors().nth(2).expect("it is in `deps`");
    let program = target.join("examples").join(name);
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

/// Two network namespaces with a cable between them: for Open MPI two machines, whose ranks talk by TCP. 10.99.0.1 and 10.99.0.2.
struct Machines {
    /// That of a machine is also that of its end of the cable.
    names: [String; 2],
    /// Starts a command on a machine, in the place of `ssh`.
    agent: PathBuf,
    hosts: PathBuf,
}

impl Machines {
    /// `None` where the system does not let the test make them. Their files are in `folder`.
    fn new(folder: &Path) -> Option<Machines> {
        let names = [1, 2].map(|k| format!("rw{}x{k}", std::process::id()));
        let machines = Machines { names, agent: folder.join("agent"), hosts: folder.join("hosts") };
        let [one, two] = &machines.names;
        let mut all = vec![format!("netns add {one}"), format!("netns add {two}")];
        all.push(format!("link add {one} netns {one} type veth peer name {two} netns {two}"));
        for (k, name) in (1..).zip(&machines.names) {
            all.push(format!("-n {name} addr add 10.99.0.{k}/24 dev {name}"));
            all.extend(["lo", name].map(|device| format!("-n {name} link set {device} up")));
        }
        let ip = |words: &String| Command::new("ip").args(words.split(' ')).stderr(Stdio::null()).status();
        if !all.iter().all(|words| ip(words).is_ok_and(|status| status.success())) {
            println!("not tested: network namespaces cannot be made here");
            return None;
        }
        // The name of a machine by the last number of its address.
        let name = one.replace("x1", "x${host##*.}");
        let enter = format!("exec ip netns exec {name} unshare --uts sh -c \"hostname {name}; $*\"");
        fs::write(&machines.agent, format!("#!/bin/sh\nhost=$1; shift\n{enter}\n")).expect("the folder can be written");
        fs::set_permissions(&machines.agent, fs::Permissions::from_mode(0o755)).expect("the folder can be written");
        fs::write(&machines.hosts, "10.99.0.1 slots=2\n10.99.0.2 slots=2\n").expect("the folder can be written");
        Some(machines)
    }

    /// A command that begins on the first machine, with ranks on both.
    fn run(&self, job: &Command) -> Command {
        let mut command = Command::new(&self.agent);
        command.env("OMPI_ALLOW_RUN_AS_ROOT", "1").env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1").arg("10.99.0.1");
        command.arg(job.get_program()).args(["--mca", "plm_rsh_agent"]).arg(&self.agent);
        command.arg("--hostfile").arg(&self.hosts).args(job.get_args());
        command
    }

    /// The bytes that the second machine has got.
    fn received(&self) -> u64 {
        let name = &self.names[1];
        let file = format!("/sys/class/net/{name}/statistics/rx_bytes");
        let output = Command::new("ip").args(["netns", "exec", name, "cat", &file]).output().expect("there is ip");
        String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number of bytes")
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in &self.names {
            Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status().ok();
        }
    }
}

#[test]
fn ranks_on_two_machines_give_the_bits_of_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let [alone, here, both] = ["alone", "here", "both"].map(|name| folder.path().join(name));
    let expected = (successful(training(1, &alone, "1", &[])).stdout, fs::read(&alone).unwrap());
    let hosts = folder.path().join("localhost");
    fs::write(&hosts, "localhost slots=4\n").unwrap();
    let mut command = mpirun(["--hostfile".as_ref(), hosts.as_os_str()]);
    command.args(["-n", "4"]).arg(program()).arg("--file").arg(&here).args(["--epochs", "1"]);
    assert!((successful(command).stdout, fs::read(&here).unwrap()) == expected, "a file of hosts");
    let Some(machines) = Machines::new(folder.path()) else { return };
    let found = (successful(machines.run(&training(4, &both, "1", &[]))).stdout, fs::read(&both).unwrap());
    assert!(found == expected, "two machines");
    // Of 3,329 parameters, half come to a machine in each of 99 steps at least.
    let received = machines.received();
    assert!(received > 99 * 3329 / 2 * 4, "{received} bytes came to the second machine");
}

#[test]
fn a_job_that_is_complete_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("run");
    successful(training(2, &file, "1", &[]));
    let before = fs::read(&file).unwrap();
    let told = String::from_utf8(successful(training(2, &file, "1", &[])).stdout).unwrap();
    assert_eq!(told, format!("{}: complete after 1 epochs; more --epochs go on from it\n", file.display()));
    assert!(fs::read(&file).unwrap() == before);
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

/// A task program with its arguments, in so many processes; 0 without `mpirun`.
fn task(ranks: usize, name: &str, arguments: &[&str]) -> Command {
    let mut command = match ranks {
        0 => Command::new(example(name)),
        _ => mpirun([OsStr::new("-n"), OsStr::new(&ranks.to_string()), example(name).as_os_str()]),
    };
    command.args(arguments);
    command
}

/// The names and contents of the files in a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("the program has made it").map(|entry| entry.expect("it can be listed"));
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, fs::read(entry.path()).expect("it is a file"))
    };
    let mut files: Vec<_> = entries.map(file).collect();
    files.sort();
    files
}

#[test]
fn a_task_in_several_processes_leaves_the_files_of_one() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("text"), "abracadabra, simsalabim! ".repeat(200)).unwrap();
    successful(task(0, "speech", &["--write-wav", &at("words")]));
    let text = ["--data", &at("text"), "--hidden", "9", "--streams", "6", "--window", "20", "--dropout", "0.2"];
    let words = ["--data", &at("words"), "--hidden", "5", "--layers", "2", "--one-way"];
    for (name, given) in [("char_model", &text[..]), ("speech", &words)] {
        for shards in ["2", "3"] {
            let in_processes = |ranks: usize| {
                let out = at(&format!("{name} {ranks} {shards}"));
                let given = [given, &["--epochs", "2", "--shards", shards, "--out", &out]].concat();
                (successful(task(ranks, name, &given)).stdout, files(out.as_ref()))
            };
            let expected = in_processes(0);
            assert!(expected.1.iter().any(|(file, _)| file == "lstm.safetensors"));
            for ranks in [1, 2, 3] {
                let found = in_processes(ranks);
                let differ = found.1.iter().zip(&expected.1).find(|(a, b)| a != b).map(|(a, _)| &a.0);
                assert!(found == expected, "{name}, {ranks} ranks, {shards} shards: {differ:?}");
            }
        }
    }
}

#[test]
fn a_task_whose_rank_is_killed_goes_on_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    fs::write(at("text"), "abracadabra, simsalabim! ".repeat(100)).unwrap();
    let given = ["--data", &at("text"), "--hidden", "9", "--streams", "6", "--window", "20", "--epochs", "40"];
    let to = |out: &str| [&given[..], &["--out", out]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>();
    let training = |ranks: usize, out: &str| {
        let given = to(out);
        task(ranks, "char_model", &given.iter().map(String::as_str).collect::<Vec<_>>())
    };
    successful(training(0, &at("whole")));
    let net = Path::new(&at("killed")).join("lstm.safetensors");
    let job = training(2, &at("killed")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    soon(|| net.exists().then_some(()));
    let process = soon(|| process_of(1, at("killed").as_ref()));
    Command::new("kill").args(["-KILL", &process.to_string()]).status().unwrap();
    let told = String::from_utf8_lossy(&job.wait_with_output().unwrap().stderr).into_owned();
    assert!(told.contains("process rank 1"), "{told}");
    successful(task(3, "char_model", &["--resume", &net.display().to_string()]));
    assert!(files(at("killed").as_ref()) == files(at("whole").as_ref()));
}

#[test]
fn a_task_for_one_process_says_so() {
    let output = task(2, "caption", &[]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("caption trains in one process; there are 2"), "{told}");
}
