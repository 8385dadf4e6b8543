//! What a served page may ask for: its fields, their bounds, and the scene that is computed.

use rewind_autograd::Tensor;
use serde_json::{Map, Value, json};

use crate::cells::{Cells, Setup};
use crate::data::{Scene, Text};
use crate::error::Result as Computed;
use crate::scenes::{self, MOST_STEPS, drawn};
use crate::sequence::Sequence;

const STEPS: [u64; 2] = [1, MOST_STEPS as u64];
const HIDDEN: [u64; 2] = [1, 32];
const SEED: [u64; 2] = [0, 1_000_000];
const SCALE: [f64; 2] = [0.0, 10.0];
const FORGET_BIAS: [f64; 2] = [-10.0, 10.0];
/// I, where an input sequence is given.
const FEATURES: [u64; 2] = [1, 8];
/// Losses times steps: the cells of a table.
const MOST_ITEMS: usize = 4096;
/// I of a sequence that is drawn.
const DRAWN_FEATURES: usize = 2;

/// The names of all fields.
const FIELDS: [&str; 8] = ["cells", "steps", "hidden", "scale", "forget_bias", "seed", "losses", "inputs"];

/// The ranges of the fields, for the page.
pub(crate) fn bounds(cells: &Cells) -> Value {
    json!({
        "steps": STEPS, "hidden": HIDDEN, "scale": SCALE, "forget_bias": FORGET_BIAS, "seed": SEED, "features": FEATURES,
        "items": MOST_ITEMS, "cells": cells.names().collect::<Vec<_>>(),
    })
}

/// A request whose fields are within their bounds.
#[derive(Debug)]
pub(crate) struct Request {
    cells: Vec<String>,
    setup: Setup,
    sequence: Sequence,
    /// What was asked, as the page shows it.
    settings: Value,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// The field that is wrong, its value and what was expected.
    pub(crate) fn read(body: &[u8], cells: &Cells) -> Result<Self, String> {
        let json: Value = serde_json::from_slice(body).map_err(|error| format!("the request is no JSON: {error}"))?;
        let Value::Object(fields) = json else {
            return Err(format!("the request is {}; expected an object of {FIELDS:?}", short(&json)));
        };
        if let Some(other) = fields.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            return Err(format!("{} is no field; expected {FIELDS:?}", short(&json!(other))));
        }
        let fields = Fields(fields);
        let steps = fields.whole("steps", STEPS)? as usize;
        let setup = Setup {
            hidden: fields.whole("hidden", HIDDEN)? as usize,
            scale: fields.number("scale", SCALE)?,
            forget_bias: Some(fields.number("forget_bias", FORGET_BIAS)?),
            seed: fields.whole("seed", SEED)?,
        };
        let mut losses = fields.losses(steps)?;
        losses.sort_unstable();
        let x = fields.inputs(steps)?.unwrap_or_else(|| drawn(&[steps, DRAWN_FEATURES], setup.seed, 2));
        let targets = drawn(&[losses.len(), 1], setup.seed, 3);
        let sequence = Sequence::with_losses(x, targets, &losses).map_err(|error| error.to_string())?;
        Ok(Request { cells: fields.cells(cells)?, setup, sequence, settings: Value::Object(fields.0) })
    }

    /// Records the networks that were asked for.
    ///
    /// # Errors
    /// What does not fit.
    pub(crate) fn compute(self, cells: &Cells) -> Computed<Scene> {
        let record = |name: &String| cells.record(name, &self.setup, &self.sequence);
        let networks = self.cells.iter().map(record).collect::<Computed<_>>()?;
        let title = Text::both("Yours", "Le vôtre");
        Ok(Scene { settings: Some(self.settings), ..scenes::of("yours", title, &self.sequence, networks) })
    }
}

/// A value in a message.
fn short(value: &Value) -> String {
    const LONGEST: usize = 40;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// The fields of a request, by name.
struct Fields(Map<String, Value>);

impl Fields {
    fn get(&self, name: &str) -> Result<&Value, String> {
        self.0.get(name).ok_or_else(|| format!("{name} is missing; expected {FIELDS:?}"))
    }

    fn whole(&self, name: &str, bounds: [u64; 2]) -> Result<u64, String> {
        let value = self.get(name)?;
        whole(value, bounds).ok_or_else(|| out_of_bounds(name, value, "a whole number from ", bounds))
    }

    fn number(&self, name: &str, bounds: [f64; 2]) -> Result<f64, String> {
        let value = self.get(name)?;
        let within = |number: &f64| (bounds[0]..=bounds[1]).contains(number);
        value.as_f64().filter(within).ok_or_else(|| out_of_bounds(name, value, "", bounds))
    }

    fn list(&self, name: &str, of: &str) -> Result<&Vec<Value>, String> {
        let value = self.get(name)?;
        value
            .as_array()
            .filter(|list| !list.is_empty())
            .ok_or_else(|| format!("{name} is {}; expected a list of {of}", short(value)))
    }

    /// The names of cells, each once.
    fn cells(&self, cells: &Cells) -> Result<Vec<String>, String> {
        let known: Vec<&str> = cells.names().collect();
        let mut names: Vec<String> = Vec::new();
        for value in self.list("cells", "names")? {
            match value.as_str() {
                Some(name) if known.contains(&name) && !names.iter().any(|given| given == name) => {
                    names.push(name.to_owned());
                }
                _ => return Err(format!("cells has {}; expected each of {known:?} at most once", short(value))),
            }
        }
        Ok(names)
    }

    fn losses(&self, steps: usize) -> Result<Vec<usize>, String> {
        let list = self.list("losses", "steps")?;
        if list.len() * steps > MOST_ITEMS && list.len() <= steps {
            return Err(format!(
                "losses has {} steps of {steps}; expected at most {}, so that losses times steps are {MOST_ITEMS} at most",
                list.len(),
                MOST_ITEMS / steps
            ));
        }
        let bounds = [0, steps as u64 - 1];
        let mut losses = Vec::new();
        for value in list {
            let step =
                whole(value, bounds).ok_or_else(|| out_of_bounds("losses", value, "whole numbers from ", bounds))?;
            if losses.contains(&(step as usize)) {
                return Err(format!("losses has {step} twice; expected each step at most once"));
            }
            losses.push(step as usize);
        }
        Ok(losses)
    }

    /// The input sequence, `[T, I]`, if one is given.
    fn inputs(&self, steps: usize) -> Result<Option<Tensor<f64>>, String> {
        let rows = match self.0.get("inputs") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(rows)) if rows.len() == steps => rows,
            Some(Value::Array(rows)) => {
                return Err(format!("inputs has {} rows; expected {steps}, one for each step", rows.len()));
            }
            Some(other) => return Err(format!("inputs is {}; expected null or a list of rows", short(other))),
        };
        let [least, most] = FEATURES.map(|features| features as usize);
        let width = rows[0].as_array().map_or(0, Vec::len);
        if !(least..=most).contains(&width) {
            return Err(format!("inputs has the row {}; expected rows of {least} to {most} numbers", short(&rows[0])));
        }
        let mut numbers = Vec::new();
        for (t, row) in rows.iter().enumerate() {
            let Some(row) = row.as_array().filter(|row| row.len() == width) else {
                return Err(format!("inputs has the row {} at step {t}; expected {width} numbers", short(row)));
            };
            for value in row {
                let number = value.as_f64().filter(|number| number.is_finite());
                numbers
                    .push(number.ok_or_else(|| format!("inputs has {} at step {t}; expected a number", short(value)))?);
            }
        }
        Ok(Some(Tensor::from_vec(numbers, &[steps, width])))
    }
}

/// A whole number within bounds; 3.0 is one.
fn whole(value: &Value, [least, most]: [u64; 2]) -> Option<u64> {
    let number =
        value.as_u64().or_else(|| value.as_f64().filter(|x| x.fract() == 0.0 && *x >= 0.0).map(|x| x as u64))?;
    (least..=most).contains(&number).then_some(number)
}

fn out_of_bounds<B: std::fmt::Display>(name: &str, value: &Value, kind: &str, [least, most]: [B; 2]) -> String {
    format!("{name} is {}; expected {kind}{least} to {most}", short(value))
}
