//! Structs of parameters that are generic in their leaf: tensors in storage, variables on a tape, gradients.
//!
//! `Cell<Tensor<T>>` stores parameters, `Cell<Var<'t, T>>` computes with them, and `Cell<Tensor<T>>` again holds their
//! gradients or an optimiser's moments. [`parameters!`](crate::parameters!) writes the struct and its [`Parameters`]
//! implementation from the field list alone; the field names give every leaf its dotted name.

mod define;

use std::marker::PhantomData;
use std::panic::Location;

use smallvec::SmallVec;

use crate::tape::Tape;
use crate::{Scalar, Tensor, Var};

/// The dotted name of the current position in a walk over a module, such as `layers.0.weight_ih`.
///
/// Names of usual length need no allocation: modules are walked at each training step.
///
/// ```
/// use rewind_autograd::parameters::Path;
/// let mut path = Path::default();
/// let name = path.at("layers", |path| path.at("0", |path| path.as_str().to_owned()));
/// assert_eq!((name.as_str(), path.as_str()), ("layers.0", ""));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Path(SmallVec<[u8; 64]>);

impl Path {
    /// Calls `f` one level deeper, under `name`.
    pub fn at<R>(&mut self, name: &str, f: impl FnOnce(&mut Path) -> R) -> R {
        let length = self.0.len();
        if length > 0 {
            self.0.push(b'.');
        }
        self.0.extend_from_slice(name.as_bytes());
        let result = f(self);
        self.0.truncate(length);
        result
    }

    /// The name so far.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("complete names are appended and removed")
    }
}

/// A module: a tree whose leaves are of type `P`. Implemented by [`parameters!`](crate::parameters!), for structs around a module by
/// for vectors, options and tuples of modules, for arrays of leaves, and by hand where needed.
///
/// ```
/// use rewind_autograd::{parameters, Parameters};
///
/// parameters! {
///     /// y = x·weight + bias; weight `[I, O]`, bias `[O]`.
///     pub struct Dense<P> { weight: P, bias: Option<P> }
/// }
/// parameters! {
///     pub struct Net<P> { layers: Vec<Dense<P>>, scale: P }
/// }
///
/// let net = Net { layers: vec![Dense { weight: 1, bias: None }, Dense { weight: 2, bias: Some(3) }], scale: 4 };
/// assert_eq!(net.names(), ["layers.0.weight", "layers.1.weight", "layers.1.bias", "scale"]);
///
/// let doubled = net.map(|_name, p| p * 2);
/// let sums = net.zip(&doubled, |_name, a, b| a + b);
/// assert_eq!(sums.leaves(), [&3, &6, &9, &12]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no module with parameters of type `{P}`",
    label = "holds no parameters",
    note = "in `parameters!`, a field of leaves is `P`, `Option<P>` or an array, `[P; 3]`; a field of modules is `Linear<P>` or a vector, `Vec<Linear<P>>`; one that is no parameter is marked with `#[setting]`; a module is a struct written with `parameters!`",
    note = "a gradient check is one in `f64`; for modules of `f32` it has a form with the type, such as `check::layer_with::<f32, _>`",
    note = "the first type parameter of such a struct is its leaf; if it holds only modules, add a field `leaf: PhantomData<P>`"
)]
pub trait Parameters<P>: Sized {
    /// The same structure with leaves of another type.
    type With<Q>: Parameters<Q, With<P> = Self>;

    /// The same structure with every leaf replaced by `f` of its dotted name and the leaf, in the order of the fields.
    fn map_at<'a, Q>(&'a self, path: &mut Path, f: &mut dyn FnMut(&str, &'a P) -> Q) -> Self::With<Q>;

    /// Calls `f` with the dotted name of every leaf and the mutable leaf, in the order of the fields.
    fn visit_mut_at(&mut self, path: &mut Path, f: &mut dyn FnMut(&str, &mut P));

    /// Calls `f` with the dotted name of every leaf and the leaf.
    fn visit<'a>(&'a self, mut f: impl FnMut(&str, &'a P))
    where
        P: 'a,
    {
        self.map_at(&mut Path::default(), &mut f);
    }

    /// Calls `f` with the dotted name of every leaf and the mutable leaf.
    ///
    /// ```
    /// use rewind_autograd::{OnTape, Parameters, Tensor, parameters};
    /// parameters! { struct Line<P> { slope: P, offset: P } }
    /// let mut line = Line { slope: Tensor::scalar(3.0), offset: Tensor::zeros(&[4]) };
    /// assert_eq!(line.parameter_count(), 5);
    /// line.visit_mut(|name, p| {
    ///     if name == "slope" {
    ///         *p = p.map(|x| x - 1.0);
    ///     }
    /// });
    /// let mut shapes = Vec::new();
    /// line.visit(|name, p| shapes.push((name.to_owned(), p.rank())));
    /// assert_eq!(line.slope.item(), 2.0);
    /// assert_eq!(shapes, [("slope".to_owned(), 0), ("offset".to_owned(), 1)]);
    /// ```
    fn visit_mut(&mut self, mut f: impl FnMut(&str, &mut P)) {
        self.visit_mut_at(&mut Path::default(), &mut f);
    }

    /// The same structure with every leaf replaced by `f` of its name and the leaf.
    fn map<Q>(&self, mut f: impl FnMut(&str, &P) -> Q) -> Self::With<Q> {
        self.map_at(&mut Path::default(), &mut f)
    }

    /// The same structure, made by `f` from the leaves of two modules of that structure.
    ///
    /// # Panics
    /// If their vectors or options differ, so that the leaves do not pair up; the first name that differs is named.
    #[track_caller]
    fn zip<R, Q>(&self, other: &Self::With<R>, mut f: impl FnMut(&str, &P, &R) -> Q) -> Self::With<Q> {
        let (ours, theirs) = (self.names(), other.names());
        if ours != theirs {
            let at = ours.iter().zip(&theirs).take_while(|(a, b)| a == b).count();
            let name = |names: &[String]| names.get(at).map_or("no leaf".to_owned(), |name| format!("`{name}`"));
            let (n, m, first, second) = (ours.len(), theirs.len(), name(&ours), name(&theirs));
            panic!("zip: modules of {n} and {m} leaves do not pair up, first at {first} and {second}");
        }
        let mut rest = other.leaves().into_iter();
        self.map(|name, p| f(name, p, rest.next().expect("the names have been compared")))
    }

    /// The dotted names of all leaves.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.visit(|name, _| names.push(name.to_owned()));
        names
    }

    /// All leaves, in the order of their names.
    fn leaves(&self) -> Vec<&P> {
        let mut leaves = Vec::new();
        self.visit(|_, leaf| leaves.push(leaf));
        leaves
    }
}

/// A module of tensors: [`Parameters`] with leaves of type [`Tensor<T>`], for which [`map`](Parameters::map) from
/// tensor to tensor returns the same type. Use it as the bound of code that is generic over modules; every module of
/// tensors implements it.
///
/// ```
/// use rewind_autograd::{Module, OnTape, Scalar, Tape, Tensor, Var, parameters};
///
/// /// One step of gradient descent on any module.
/// fn descend<T: Scalar, M: Module<T>>(
///     module: &M,
///     rate: f64,
///     loss: impl for<'t> Fn(&'t Tape<T>, &M::With<Var<'t, T>>) -> Var<'t, T>,
/// ) -> M {
///     let tape = Tape::new();
///     let on_tape = module.on(&tape);
///     let gradients: M = loss(&tape, &on_tape).backward().of(&on_tape);
///     module.zip(&gradients, |_name, p, g| p.zip(g, |p, g| p - T::from_f64(rate) * g))
/// }
///
/// parameters! { struct Line<P> { slope: P } }
/// let line = descend(&Line { slope: Tensor::scalar(3.0) }, 0.25, |_tape, line| line.slope * line.slope);
/// assert_eq!(line.slope.item(), 1.5);
/// ```
pub trait Module<T: Scalar>: Parameters<Tensor<T>, With<Tensor<T>> = Self> {}

impl<T: Scalar, M: Parameters<Tensor<T>, With<Tensor<T>> = M>> Module<T> for M {}

/// Puts modules of tensors on a tape.
pub trait OnTape<T: Scalar>: Parameters<Tensor<T>> {
    /// The module with every tensor a leaf of `tape` that gradients flow to, named by its dotted name. No elements are
    /// copied.
    #[track_caller]
    fn on<'t>(&self, tape: &'t Tape<T>) -> Self::With<Var<'t, T>> {
        let location = Location::caller();
        self.map(|name, tensor| tape.parameter_at(name, tensor.clone(), location))
    }

    /// The number of elements in all tensors.
    fn parameter_count(&self) -> usize {
        self.leaves().iter().map(|tensor| tensor.len()).sum()
    }
}

impl<T: Scalar, M: Parameters<Tensor<T>>> OnTape<T> for M {}

/// Writes the two walks of an impl of [`Parameters`], each from one expression.
macro_rules! walks {
    ($self:ident, $path:ident, $f:ident; map: $map:expr, visit_mut: $visit_mut:expr $(,)?) => {
        #[allow(unused_variables, reason = "a structure without parts uses neither argument")]
        fn map_at<'a, Q>(&'a $self, $path: &mut Path, $f: &mut dyn FnMut(&str, &'a P) -> Q) -> Self::With<Q> {
            $map
        }

        #[allow(unused_variables, reason = "a structure without parts uses neither argument")]
        fn visit_mut_at(&mut $self, $path: &mut Path, $f: &mut dyn FnMut(&str, &mut P)) {
            $visit_mut
        }
    };
}

impl<P, M: Parameters<P>> Parameters<P> for Vec<M> {
    type With<Q> = Vec<M::With<Q>>;
    walks! { self, path, f;
        map: self.iter().enumerate().map(|(i, m)| path.at(&i.to_string(), |path| m.map_at(path, f))).collect(),
        visit_mut: self.iter_mut().enumerate().for_each(|(i, m)| path.at(&i.to_string(), |path| m.visit_mut_at(path, f))),
    }
}

impl<P, M: Parameters<P>> Parameters<P> for Option<M> {
    type With<Q> = Option<M::With<Q>>;
    walks! { self, path, f;
        map: self.as_ref().map(|m| m.map_at(path, f)),
        visit_mut: self.iter_mut().for_each(|m| m.visit_mut_at(path, f)),
    }
}

/// An array of leaves, named by position: a module for functions of a few tensors.
impl<P, const N: usize> Parameters<P> for [P; N] {
    type With<Q> = [Q; N];
    walks! { self, path, f;
        map: std::array::from_fn(|i| path.at(&i.to_string(), |path| f(path.as_str(), &self[i]))),
        visit_mut: self.iter_mut().enumerate().for_each(|(i, leaf)| path.at(&i.to_string(), |path| f(path.as_str(), leaf))),
    }
}

/// Modules of unlike types, named by position.
macro_rules! tuples {
    ($($($k:tt $module:ident),+;)+) => {$(
        impl<P, $($module: Parameters<P>),+> Parameters<P> for ($($module,)+) {
            type With<Q> = ($($module::With<Q>,)+);
            walks! { self, path, f;
                map: ($(path.at(stringify!($k), |path| self.$k.map_at(path, f)),)+),
                visit_mut: { $(path.at(stringify!($k), |path| self.$k.visit_mut_at(path, f));)+ },
            }
        }
    )+};
}

tuples! {
    0 A, 1 B;
    0 A, 1 B, 2 C;
    0 A, 1 B, 2 C, 3 D;
    0 A, 1 B, 2 C, 3 D, 4 E;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G;
    0 A, 1 B, 2 C, 3 D, 4 E, 5 F, 6 G, 7 H;
}

/// Names the leaf type of a module that has no field of that type, only modules.
///
/// ```
/// use std::marker::PhantomData;
/// use rewind_autograd::{OnTape, Parameters, Tape, Tensor, parameters};
///
/// parameters! { pub struct Scale<P> { by: P } }
/// parameters! { pub struct Both<P, F, B> { forward: F, backward: B, leaf: PhantomData<P> } }
///
/// let scale = |by| Scale { by: Tensor::scalar(by) };
/// let both = Both { forward: scale(2.0), backward: scale(3.0), leaf: PhantomData };
/// let tape = Tape::<f64>::new();
/// assert_eq!(both.on(&tape).names(), ["forward.by", "backward.by"]);
/// ```
impl<P> Parameters<P> for PhantomData<P> {
    type With<Q> = PhantomData<Q>;
    walks! { self, path, f; map: PhantomData, visit_mut: () }
}

/// A module without parameters.
impl<P> Parameters<P> for () {
    type With<Q> = ();
    walks! { self, path, f; map: (), visit_mut: () }
}
