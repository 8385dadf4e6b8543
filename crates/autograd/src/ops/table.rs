//! The macro that writes ops from rows: the built-in ones and those of users.

/// Defines ops, each as a row: its docs, its value, and one rule for each input.
///
/// ```
/// use rewind_autograd::{Tape, Tensor, ops};
/// use rewind_check as check;
///
/// ops! {
///     /// y = x·sin x, elementwise; x̄ = ȳ·(sin x + x·cos x).
///     fn x_sin_x = XSinX(x) {
///         value: x.map(|x| x * x.sin()),
///         x: |g, x| g * (x.sin() + x * x.cos()),
///     }
/// }
///
/// let tape = Tape::new();
/// let x = tape.leaf(Tensor::from_vec(vec![0.5, -2.0], &[2]));
/// let gradient = x_sin_x(x).sum().backward().get(x);
/// check::function(&[x.value()], |_, x| x_sin_x(x[0])).assert(); // right, to second order
/// # assert!((gradient.to_vec()[0] - (0.5_f64.sin() + 0.5 * 0.5_f64.cos())).abs() < 1e-15);
/// ```
///
/// From this row the macro writes a struct `XSinX` that implements [`Op`](crate::Op), with the name `"x_sin_x"`, and a function
/// `x_sin_x` that records it, for both scalar types:
///
/// - **`value`** is computed from tensors, the inputs by their names in the head of the row, with [`Tensor::map`](crate::Tensor::map),
///   [`zip`](crate::Tensor::zip), [`build`](crate::Tensor::build) and whatever else a tensor can do. `T` is the type of the elements.
/// - **A rule** for each input follows, in any order: `input: |g, …| term`, where `g` is ȳ, the cotangent of the
///   output. The values that the rule reads follow, by name. Only these stay in memory
///   ([`Op::reads`](crate::Op::reads)). The output has a name if the head gives it one: `Exp(x) -> y`. `x: shape` reads
///   the shape alone, which takes no memory.
/// - **A term** is ȳ·∂y/∂input, computed with [`Var`](crate::Var)s: a variable of the shape of the input, or another
///   [`Term`](crate::Term), as `Term::Summed` for an input that was broadcast.
///
/// ```
/// use rewind_autograd::shape::broadcast_or_panic;
/// use rewind_autograd::{Tape, Tensor, Term, ops};
/// use rewind_check as check;
///
/// ops! {
///     /// The ops below with their docs: for a test that walks them, and for readers of a tape.
///     const OPS: [(name, docs)];
///
///     /// y = a·e^b elementwise, broadcast; ā = ȳ·e^b, b̄ = ȳ·y.
///     pub fn scaled_exp = ScaledExp(a, b) -> y {
///         check: broadcast_or_panic("scaled_exp", &a.shape(), &b.shape()),
///         value: a.zip(b, |a, b| a * b.exp()),
///         a: |g, b| Term::Summed(g * b.exp()),
///         b: |g, y| Term::Summed(g * y),
///     }
///
///     /// y = x where x > 0, slope·x elsewhere (Maas et al. 2013); x̄ = ȳ, or slope·ȳ.
///     pub fn leaky_relu = LeakyRelu<T>(x; slope: T) {
///         value: x.map(|x| if x > T::ZERO { x } else { slope * x }),
///         x: |g, x| {
///             let step = x.heaviside();
///             g * (step + step.one_minus() * slope)
///         },
///     }
/// }
///
/// assert_eq!(OPS[1].0, "leaky_relu");
/// assert_eq!(OPS[0].1.trim(), "y = a·e^b elementwise, broadcast; ā = ȳ·e^b, b̄ = ȳ·y.");
/// let inputs = [Tensor::from_vec(vec![0.5, -2.0], &[2]), Tensor::from_vec(vec![1.0, 0.25, -1.0, 2.0], &[2, 2])];
/// check::function(&inputs, |_, v| scaled_exp(v[0], leaky_relu(v[1], 0.1))).assert();
/// ```
///
/// - **`check`**, if given, is run by the function before the value is computed, with the inputs as variables. It panics if the shapes
///   do not fit, and the message names the caller's line. [`shape`](crate::shape) has the wording.
/// - **Settings** follow the inputs after a semicolon, and are arguments of the function. They must be `Copy`; those that are not follow
///   after another semicolon, and value and rules borrow them: `(x; axis: usize; &indices: Vec<usize>)`. With a setting of type `T`
///   the struct is generic: `LeakyRelu<T>`.
/// - **`op`** instead of `fn` writes no function: `op mul = MulOp(a, b) { … }` is recorded with
///   [`Tape::apply`](crate::Tape::apply). (`method` writes a method of `Var`, for built-in ops.)
/// - **`const NAMES;`** as the first item makes a list of the names of all rows, `&[&str]`; **`const OPS: [(name, docs)];`** one of
///   names and docs, `&[(&str, &str)]`.
///
/// For an op with any number of inputs, or with logic in its settings, implement [`Op`](crate::Op).
///
/// A setting that is called as the cotangent is in a rule, or as a value that the rule reads, is hidden there.
///
/// A row that is written in another order is refused by one sentence:
///
/// ```compile_fail
/// rewind_autograd::ops! {
///     fn double = Double(x) {
///         x: |g| g + g,
///         value: x.map(|x| x + x),
///     }
/// }
/// ```
///
/// An input without a rule is refused (`__OpInput::b` not covered):
///
/// ```compile_fail,E0004
/// rewind_autograd::ops! {
///     fn difference = Difference(a, b) {
///         value: a.zip(b, |a, b| a - b),
///         a: |g| g,
///     }
/// }
/// ```
///
/// So are two rules for one input:
///
/// ```compile_fail,E0428
/// rewind_autograd::ops! {
///     fn double = Double(x) {
///         value: x.map(|x| x + x),
///         x: |g| g + g,
///         x: |g| g * T::from_f64(2.0),
///     }
/// }
/// ```
///
/// So is a rule for an unknown input, or one that reads an unknown value:
///
/// ```compile_fail,E0599
/// rewind_autograd::ops! {
///     fn double = Double(x) {
///         value: x.map(|x| x + x),
///         y: |g| g + g,
///     }
/// }
/// ```
///
/// ```compile_fail,E0599
/// rewind_autograd::ops! {
///     fn exponential = Exponential(x) { // without `-> y`
///         value: x.map(|x| x.exp()),
///         x: |g, y| g * y,
///     }
/// }
/// ```
///
/// And a rule with two arguments of one name:
///
/// ```compile_fail,E0415
/// rewind_autograd::ops! {
///     fn square = Square(g) {
///         value: g.map(|x| x * x),
///         g: |g, g| g * g * T::from_f64(2.0),
///     }
/// }
/// ```
///
/// A rule computes with the values that it names and no others:
///
/// ```compile_fail,E0425
/// rewind_autograd::ops! {
///     fn half_square = HalfSquare(x) {
///         value: x.map(|x| x * x * T::from_f64(0.5)),
///         x: |g| g * x,
///     }
/// }
/// ```
#[macro_export]
macro_rules! ops {
    ($(#[doc = $doc:expr])* $vis:vis const $names:ident; $($rows:tt)*) => {
        $crate::ops!(@names [$(#[doc = $doc])* $vis const $names] $($rows)*);
        $crate::ops!($($rows)*);
    };

    ($(#[doc = $doc:expr])* $vis:vis const $list:ident: [(name, docs)]; $($rows:tt)*) => {
        $crate::ops!(@docs [$(#[doc = $doc])* $vis const $list] $($rows)*);
        $crate::ops!($($rows)*);
    };

    (@names [$($head:tt)*] $(
        $(#[doc = $doc:expr])*
        $vis:vis $record:ident $name:ident = $op:ident $(<$t:ident>)? ($($signature:tt)*) $(-> $output:ident)? { $($body:tt)* }
    )*) => {
        $($head)*: &[&str] = &[$(stringify!($name)),*];
    };

    (@docs [$($head:tt)*] $(
        $(#[doc = $doc:expr])*
        $vis:vis $record:ident $name:ident = $op:ident $(<$t:ident>)? ($($signature:tt)*) $(-> $output:ident)? { $($body:tt)* }
    )*) => {
        $($head)*: &[(&str, &str)] = &[$((stringify!($name), concat!($($doc, "\n"),*))),*];
    };

    ($(
        $(#[doc = $doc:expr])*
        $vis:vis $record:ident $name:ident = $op:ident $(<$t:ident>)? ($($signature:tt)*) $(-> $output:ident)? { $($body:tt)* }
    )*) => {$(
        $crate::ops!(@row [$(#[doc = $doc])* $vis] $record $name $op [$($t)?] ($($signature)*) [$($output)?] { $($body)* });
    )*};

    (@row
        $head:tt $record:ident $name:ident $op:ident [$($t:ident)?]
        (
            $($input:ident),+
            $(; $($setting:ident: $type:ty),+)?
            $(; $(&$held:ident: $held_type:ty),+)?
        )
        [$($output:ident)?]
        {
            $(check: $check:expr,)?
            value: $value:expr,
            $($rule:ident: |$cotangent:ident $(, $read:ident $(: $shape:ident)?)*| $term:expr),+ $(,)?
        }
    ) => {
        $crate::ops!(@struct $head $op [$($t)?] [$($($setting: $type,)+)? $($($held: $held_type,)+)?]);
        $crate::ops!(
            @$record $head $name $op [$($input)+] [$($($setting: $type,)+)? $($($held: $held_type,)+)?] [$($check)?]
        );

        const _: () = {
            // Indices for names: of the inputs, and of all that a rule can read.
            #[allow(non_camel_case_types)] // the names are those of variables
            enum __OpInput { $($input),+ }
            #[allow(non_camel_case_types, dead_code)] // not every value is read
            enum __OpValue { $($input,)+ $($output)? }
            const __OP_ARITY: usize = [$(__OpInput::$input),+].len();

            // Compiles if every input has one rule.
            #[allow(dead_code)] // it is there to be compiled
            fn rules(input: __OpInput) {
                #[allow(non_camel_case_types)] // the names are those of variables
                enum __OpRule { $($rule),+ }
                match input { $(__OpInput::$rule => __OpRule::$rule),+ };
            }

            impl<T: $crate::Scalar> $crate::Op<T> for $op $(<$t>)? {
                fn name(&self) -> &'static str {
                    stringify!($name)
                }
                fn forward(&self, inputs: &[&$crate::Tensor<T>]) -> $crate::Tensor<T> {
                    #[allow(unused_variables)] // a setting may be one of the rules alone
                    let Self { $($($setting,)+)? $($(ref $held,)+)? } = *self;
                    let &[$($input),+] = inputs else {
                        $crate::ops::wrong_arity(stringify!($name), inputs.len(), &[$(stringify!($input)),+])
                    };
                    $value
                }
                fn vjp<'t>(&self, input: usize, at: &$crate::Site<'t, T>) -> $crate::Term<'t, T> {
                    #[allow(unused_variables)] // a setting may be one of the value alone
                    let Self { $($($setting,)+)? $($(ref $held,)+)? } = *self;
                    $(
                        if input == __OpInput::$rule as usize {
                            // Compiles if the names differ, as those of a closure's arguments must.
                            #[allow(dead_code, unused_variables)] // it is there to be compiled
                            fn arguments($cotangent: () $(, $read: ())*) {}
                            #[allow(unused_variables)] // a flat op has none
                            let $cotangent = at.cotangent();
                            $(let $read = $crate::ops!(@read at __OpValue::$read $(, $shape)?);)*
                            return $crate::Term::from($term);
                        }
                    )+
                    unreachable!("{} has {__OP_ARITY} inputs and none of number {input}", stringify!($name))
                }
                fn reads(&self) -> $crate::Reads {
                    const {
                        $crate::Reads::NOTHING$($(.and($crate::ops!(@reads __OpValue::$read $(, $shape)?)))*)+.of(__OP_ARITY as u32)
                    }
                }
                fn settings(&self) -> Vec<(&'static str, String)> {
                    vec![
                        $($((stringify!($setting), format!("{:?}", self.$setting)),)+)?
                        $($((stringify!($held), format!("{:?}", self.$held)),)+)?
                    ]
                }
            }
        };
    };

    (@struct [$(#[$doc:meta])* $vis:vis] $op:ident [] []) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        $vis struct $op;
    };
    (@struct [$(#[$doc:meta])* $vis:vis] $op:ident [$($t:ident)?] [$($settings:tt)+]) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        $vis struct $op $(<$t>)? { $($settings)+ }
    };

    // The function that records the op.
    (@op $($unused:tt)*) => {};
    (@fn
        [$(#[$doc:meta])* $vis:vis] $name:ident $op:ident [$first:ident $($input:ident)*]
        [$($setting:ident: $type:ty,)*] [$($check:expr)?]
    ) => {
        $(#[$doc])*
        #[track_caller]
        $vis fn $name<'t, T: $crate::Scalar>(
            $first: $crate::Var<'t, T> $(, $input: $crate::Var<'t, T>)* $(, $setting: $type)*
        ) -> $crate::Var<'t, T> {
            $($check;)?
            $first.tape().apply($op { $($setting),* }, &[$first $(, $input)*])
        }
    };
    (@method
        [$(#[$doc:meta])* $vis:vis] $name:ident $op:ident [$first:ident $($input:ident)*]
        [$($setting:ident: $type:ty,)*] [$($check:expr)?]
    ) => {
        impl<'t, T: $crate::Scalar> $crate::Var<'t, T> {
            $(#[$doc])*
            #[track_caller]
            $vis fn $name(self $(, $input: $crate::Var<'t, T>)* $(, $setting: $type)*) -> Self {
                let $first = self;
                $($check;)?
                $first.tape().apply($op { $($setting),* }, &[$first $(, $input)*])
            }
        }
    };

    (@row $head:tt $record:ident $name:ident $($rest:tt)*) => {
        compile_error!(concat!(
            "`", stringify!($name), "`: expected `fn name = Name(inputs; settings; &borrowed: Type) -> y { check: …, value: …, input: \
            |g, …| …, }`, in this order: inputs without types, settings with, `check` only where it is needed, then one rule for each \
            input, and commas between"
        ));
    };
    (@$record:ident [$($head:tt)*] $name:ident $($rest:tt)*) => {
        compile_error!(concat!("`", stringify!($record $name), "`: expected `fn` or `op` before the name"));
    };

    // A value that a rule reads, or its shape; and what `Op::reads` says of it.
    (@read $at:ident $value:path) => {
        if ($value as usize) < __OP_ARITY { $at.input($value as usize) } else { $at.output() }
    };
    (@read $at:ident $value:path, shape) => {
        $crate::ops!(@read $at $value).shape()
    };
    (@reads $value:path) => {
        if ($value as usize) < __OP_ARITY { $crate::Reads::input($value as u32) } else { $crate::Reads::OUTPUT }
    };
    (@reads $value:path, shape) => {
        $crate::Reads::NOTHING
    };
}

/// Panics: an op was applied to the wrong number of inputs.
#[doc(hidden)]
#[cold]
pub fn wrong_arity(op: &str, found: usize, inputs: &[&str]) -> ! {
    panic!("{op}: {found} inputs given, expected {}: {}", inputs.len(), inputs.join(", "))
}

/// Writes the struct of an op that implements [`Op`](crate::Op) by hand, and a constant of its name and docs for the list of ops.
macro_rules! by_hand {
    ($list:ident = $name:literal; $(#[doc = $doc:expr])* $(#[derive($($trait:ident),*)])? $vis:vis struct $($rest:tt)*) => {
        $(#[doc = $doc])*
        $(#[derive($($trait),*)])?
        $vis struct $($rest)*

        pub(super) const $list: (&str, &str) = ($name, concat!($($doc, "\n"),*));
    };
}

pub(super) use by_hand;
