//! A page that shows a gradient travelling through time, for the built-in cells and one of our own.
//!
//! `cargo run --release --example explorer -- --out explorer.html` writes it; `-- --serve` serves it with the engine behind it.

use std::error::Error;
use std::path::PathBuf;

use clap::Parser;
use rand::Rng;
use rand::rngs::StdRng;
use rewind_explorer::{Cells, Page, Server};
use rewind_rnn::autograd::ops::linalg::affine;
use rewind_rnn::autograd::{Scalar, Tensor, Var, ops, parameters};
use rewind_rnn::{Cell, init};

parameters! {
    /// A cell of our own: the LSTM with its forget gate alone (van der Westhuizen and Lasenby 2018). W `[I, 2H]`, U `[H, 2H]`, b `[2H]`.
    struct Janet<P> { w: P, u: P, b: P, mistake: bool }
}

const EQUATIONS: &[&str] =
    &["f = sigmoid(x·W_f + h·U_f + b_f)", "n = tanh(x·W_n + h·U_n + b_n)", "h' = f ∘ h + (1 - f) ∘ n"];

impl<T: Scalar> Janet<Tensor<T>> {
    fn new(inputs: usize, hidden: usize, rng: &mut impl Rng) -> Self {
        let mut drawn = |shape: &[usize]| init::uniform_hidden(shape, hidden, rng);
        let (w, u, b) = (drawn(&[inputs, 2 * hidden]), drawn(&[hidden, 2 * hidden]), drawn(&[2 * hidden]));
        Janet { w, u, b, mistake: false }
    }
}

impl<'t, T: Scalar> Cell<'t, T> for Janet<Var<'t, T>> {
    type State = Var<'t, T>;

    fn step(&self, x: Var<'t, T>, h: Var<'t, T>) -> Var<'t, T> {
        let [f, n] = affine(&[(x, self.w), (h, self.u)], Some(self.b)).split_named(1, &["f", "n"]);
        let (f, n) = (if self.mistake { wrong_sigmoid(f) } else { f.sigmoid() }, n.tanh());
        n + f * (h - n)
    }

    fn initial(&self, batch: usize) -> Var<'t, T> {
        self.u.tape().zeros(&[batch, self.u.shape()[0]])
    }

    fn features(&self) -> Option<usize> {
        Some(self.w.shape()[0])
    }
}

ops! {
    /// The op below with its docs, for the page.
    const OPS: [(name, docs)];

    /// y = 1/(1 + e^-x); x̄ = ȳ·y·(1 + y), wrong on purpose: 1 - y is right.
    fn wrong_sigmoid = WrongSigmoid(x) -> y {
        value: x.map(|x| T::ONE / (T::ONE + (-x).exp())),
        x: |g, y| g * y * (y + T::ONE),
    }
}

/// Writes the page, or serves it.
#[derive(Parser)]
struct Arguments {
    /// The file to write.
    #[arg(long, default_value = "explorer.html", value_name = "FILE")]
    out: PathBuf,
    /// Serves the page with the engine behind it, on a free port or on this one, instead of writing it.
    #[arg(long, value_name = "PORT", conflicts_with = "out")]
    serve: Option<Option<u16>>,
    /// With --serve, the address or name to listen on.
    #[arg(long, default_value = "127.0.0.1", requires = "serve")]
    host: String,
    /// Adds a scene of so many time steps, from 1 to 200.
    #[arg(long, value_name = "N", conflicts_with = "serve")]
    steps: Option<usize>,
    /// Adds a cell with a wrong derivative, which the check finds.
    #[arg(long)]
    mistake: bool,
}

fn cells(mistake: bool) -> Cells {
    let cells = Cells::built_in().with("own", "JANET", EQUATIONS, Janet::new);
    if !mistake {
        return cells;
    }
    let wrong = |inputs, hidden, rng: &mut StdRng| Janet { mistake: true, ..Janet::new(inputs, hidden, rng) };
    cells.with("mistake", "JANET with a mistake", EQUATIONS, wrong).ops(OPS)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    let cells = cells(arguments.mistake);
    match arguments.serve {
        Some(port) => serve(cells, &arguments.host, port.unwrap_or(0)),
        None => {
            let page = Page::lecture(&cells)?;
            let page = match arguments.steps {
                Some(steps) => page.with_steps(&cells, steps)?,
                None => page,
            };
            page.write(&arguments.out)?;
            println!("{}: {} kB", arguments.out.display(), page.html().len().div_ceil(1000));
            Ok(())
        }
    }
}

fn serve(cells: Cells, host: &str, port: u16) -> Result<(), Box<dyn Error>> {
    let server = Server::bind(cells, &format!("{host}:{port}"))?;
    let address = server.address();
    if !address.ip().is_loopback() {
        eprintln!("warning: other machines can reach {address}, and have it compute");
    }
    println!("http://{address}/ until Ctrl-C");
    Ok(server.run()?)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rewind_rnn::check;

    use super::*;

    #[test]
    fn our_own_cell_is_right_and_the_mistake_is_found() {
        let janet = Janet::new(3, 4, &mut StdRng::seed_from_u64(1));
        check::cell(&janet, [3, 2, 3]).assert();
        let report = check::cell(&Janet { mistake: true, ..janet }, [3, 2, 3]);
        assert!(report.suspect().is_some_and(|suspect| suspect.op == "wrong_sigmoid"), "{report}");
    }

    /// A megabyte is what a mail or a wiki takes.
    #[test]
    fn the_page_is_small() {
        let size = Page::lecture(&cells(false)).expect("the cells fit").html().len();
        assert!(size < 1_000_000, "{size} bytes");
    }

    #[test]
    fn arguments_that_do_not_go_together_are_refused() {
        let parse = |words: &str| Arguments::try_parse_from(words.split(' '));
        assert!(parse("explorer --out page.html --mistake --steps 80").is_ok_and(|a| a.steps == Some(80)));
        assert!(parse("explorer --serve").is_ok_and(|a| a.serve == Some(None)));
        assert!(parse("explorer --serve 8000 --host ::1").is_ok_and(|a| a.serve == Some(Some(8000))));
        for words in ["explorer --serve --out page.html", "explorer --host ::1", "explorer --serve 99999"] {
            assert!(parse(words).is_err(), "{words}");
        }
    }
}
