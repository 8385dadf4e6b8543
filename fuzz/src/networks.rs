//! The file of a run of a program, as `--load` and `--resume` read it.

use std::error::Error;
use std::path::Path;

use rewind_examples::{CommandLine, Task};
use rewind_rnn::file::{self, FileModule, Metadata};

use crate::large::{SIZE, large, repeated};
use crate::{Bound, Folder, seed_up_to, tensors};

const FILE: &str = "net.safetensors";

/// The parser of the arguments has a description of each, and keeps what was given to one in several lists.
const LINE: Bound = Bound { ratio: 64, fixed: 1 << 20 };

/// Writes the file of a network as a seed: with the metadata of its program, and those that every program adds.
pub fn seed_of<A: Task>(name: &str, network: &impl FileModule<f32>, metadata: Metadata) {
    let lines = lines_of::<A>(name, network, metadata);
    // Each of its settings, over and over, and nested.
    for (line, (key, value)) in lines.lines().filter_map(|line| Some((line, line.split_once('\t')?))) {
        let with = |value: &[u8]| {
            let (before, after) = lines.split_once(line).expect("it is one of them");
            [before.as_bytes(), key.as_bytes(), b"\t", value, after.as_bytes()].concat()
        };
        large(&format!("{name}-{key}"), || with(&repeated(value.as_bytes(), SIZE)));
        large(&format!("{name}-{key}-nested"), || with(&vec![b'['; SIZE]));
        large(&format!("{name}-{key}-words"), || with(&repeated(b"a ", SIZE)));
    }
    large(&format!("{name}-many-values"), || {
        // The last command counts.
        [lines.as_bytes(), b"command\t{\"--hidden\":[\"\"", &repeated(b",\"a\"", SIZE), b"]}\n"].concat()
    });
    seed_up_to(tensors::LARGE, name, lines);
}

/// As [`seed_of`], for a large file alone.
pub fn large_of<A: Task>(name: &str, network: &impl FileModule<f32>, metadata: Metadata) {
    large(name, || lines_of::<A>(name, network, metadata).into_bytes());
}

fn lines_of<A: Task>(name: &str, network: &impl FileModule<f32>, metadata: Metadata) -> String {
    let line = CommandLine::<A>::parse([A::NAME, "--seed", "3", "--epochs", "2"]).expect("the arguments are right");
    let (folder, mut all) = (Folder::default(), line.metadata(name));
    all.extend(metadata);
    // The folder of the pictures is one of this machine.
    all.remove("out");
    let path = folder.path().join(FILE);
    file::save::<f32, _>(&path, network, &all).expect("TMPDIR can be written to");
    tensors::described(&path)
}

/// A program, and the file that its command lines name.
#[derive(Debug)]
pub struct Program<A> {
    folder: Folder,
    lines: [CommandLine<A>; 2],
}

impl<A: Task> Default for Program<A> {
    fn default() -> Self {
        let folder = Folder::default();
        let path = folder.path().join(FILE);
        let lines = ["--load", "--resume"].map(|how| {
            let words = [A::NAME.as_ref(), how.as_ref(), path.as_os_str()];
            CommandLine::parse(words).expect("the arguments are right")
        });
        Program { folder, lines }
    }
}

impl<A: Task + Clone> Program<A> {
    /// Reads the file of the lines in `data` by `load`, `--load` and `--resume`.
    pub fn check<N>(&self, data: &[u8], load: impl Fn(&Path) -> Result<N, Box<dyn Error>>) {
        // A run that names its data has them compared with its checksums: files of this machine are no part of the input.
        if ["--data", "--test"].iter().any(|name| data.windows(name.len()).any(|part| part == name.as_bytes())) {
            return;
        }
        let bytes = tensors::file(data);
        let path = self.folder.file(FILE, &bytes);
        let _ = Bound::TEN.check(bytes.len(), || load(&path).map(drop).map_err(|error| error.to_string()));
        for line in &self.lines {
            let line = line.clone();
            let _ = LINE.check(bytes.len(), || line.prepared().map(drop).map_err(|error| error.to_string()));
        }
    }
}
