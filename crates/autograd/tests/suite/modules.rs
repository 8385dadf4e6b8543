//! What `parameters!` takes: derives, settings, and modules of modules.

use std::marker::PhantomData;

use rewind_autograd::{OnTape, Parameters, Tape, Tensor, parameters};

use crate::refused::panic_of;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Kind {
    #[default]
    Plain,
    Gated,
}

parameters! {
    /// The derives that one writes by habit, in several lists and with those that the macro adds.
    #[derive(Debug, Clone, PartialEq)]
    #[allow(dead_code, reason = "an attribute between the lists")]
    #[derive(Default, std::cmp::Eq, Hash,)]
    struct Habit<P> {
        weight: P,
        bias: Option<P>,
        kind: Kind,
    }
}

parameters! {
    #[derive(Clone, Copy)]
    struct Small<P> { a: P }
}

#[test]
fn a_derive_list_may_name_what_is_derived_anyway() {
    let habit = Habit { weight: 1, bias: Some(2), kind: Kind::Gated };
    assert_eq!(habit.clone(), habit);
    assert_eq!(Habit::<u8>::default(), Habit { weight: 0, bias: None, kind: Kind::Plain });
    let hashed = std::collections::HashSet::from([habit.clone(), habit]);
    assert_eq!(format!("{hashed:?}"), "{Habit { weight: 1, bias: Some(2), kind: Gated }}");
    let small = Small { a: 1 };
    let copy = small;
    assert_eq!((small.a, copy.a), (1, 1));
}

parameters! {
    /// Single names that are neither the leaf nor a module are settings, marked or not.
    struct Settings<P, M> {
        weight: P,
        body: M,
        also: Option<M>,
        heads: usize,
        window: Option<usize>,
        name: String,
        kind: Kind,
        #[setting]
        marked: f64,
        #[setting]
        sizes: Vec<usize>,
        #[module]
        tail: M,
    }
}

#[test]
fn what_is_neither_a_leaf_nor_a_module_is_a_setting() {
    let body = Small { a: 2 };
    let mut module = Settings {
        weight: 1,
        body,
        also: Some(body),
        heads: 4,
        window: Some(7),
        name: "attention".to_owned(),
        kind: Kind::Gated,
        marked: 0.5,
        sizes: vec![3, 5],
        tail: body,
    };
    assert_eq!(module.names(), ["weight", "body.a", "also.a", "tail.a"]);
    module.visit_mut(|_, leaf| *leaf *= 10);
    let texts: Settings<String, Small<String>> = module.map(|name, leaf| format!("{name}={leaf}"));
    assert_eq!(texts.leaves(), ["weight=10", "body.a=20", "also.a=20", "tail.a=20"]);
    assert_eq!((texts.heads, texts.window, texts.name.as_str()), (4, Some(7), "attention"));
    assert_eq!((texts.kind, texts.marked, texts.sizes), (Kind::Gated, 0.5, vec![3, 5]));
}

parameters! {
    /// No leaf of its own.
    struct Bidirectional<P, F, B> {
        forward: F,
        backward: B,
        leaf: PhantomData<P>,
    }
}

#[test]
fn a_module_of_modules_alone_holds_the_place_of_its_leaf() {
    let small = |a| Small { a: Tensor::scalar(a) };
    let both = Bidirectional { forward: small(2.0), backward: vec![small(3.0), small(4.0)], leaf: PhantomData };
    let tape = Tape::<f64>::new();
    let on_tape = both.on(&tape);
    assert_eq!(on_tape.names(), ["forward.a", "backward.0.a", "backward.1.a"]);
    let product = on_tape.forward.a * on_tape.backward[0].a * on_tape.backward[1].a;
    let gradients: Bidirectional<Tensor<f64>, _, _> = product.backward().of(&on_tape);
    assert_eq!(gradients.leaves().into_iter().map(Tensor::item).collect::<Vec<_>>(), [12.0, 8.0, 6.0]);
}

#[test]
fn the_first_leaf_that_does_not_pair_up_is_named() {
    let habit = |bias| Habit { weight: 1, bias, kind: Kind::Plain };
    let zip = |a: Habit<i32>, b: Habit<i32>| a.zip(&b, |_, a, b| a + b);
    let found = panic_of(|| zip(habit(Some(2)), habit(None))).2;
    assert_eq!(found, "zip: modules of 2 and 1 leaves do not pair up, first at `bias` and no leaf");
}
