//! The macro that writes a struct of parameters.

/// Defines a struct of parameters, generic in its leaf, and implements [`Parameters`](crate::Parameters) for it.
///
/// The first type parameter is the leaf, the others are modules. A field is
/// - a leaf: `P`, `Option<P>`;
/// - a module: `Layer<P>`, `Vec<Layer<P>>`, `Option<Layer<P>>`, `(Layer<P>, Layer<P>)`, `[P; 3]`, or a module parameter `M`;
/// - a setting, which is copied unchanged: any other single name (`usize`, `Kind`) or option of one, and whatever is
///   marked `#[setting]`, as a `Vec<usize>` must be.
///
/// `Clone` and `Debug` are derived, and what else a `derive` of yours lists. A module that has only modules (`Both<P,
/// F, B>`) names its leaf type with a field of type [`PhantomData<P>`](std::marker::PhantomData).
///
/// ```
/// use rewind_autograd::{parameters, OnTape, Parameters, Tape, Tensor};
///
/// #[derive(Clone, Debug, PartialEq)]
/// pub enum Kind { Plain }
///
/// parameters! {
///     #[derive(Clone, PartialEq)]
///     pub struct Layer<P> {
///         /// `[I, H]`.
///         pub weight: P,
///         pub bias: Option<P>,
///         /// Not a parameter.
///         pub kind: Kind,
///         #[setting]
///         pub heads: Vec<usize>,
///     }
/// }
/// parameters! {
///     /// Generic in a module too.
///     pub struct Model<P, M> {
///         pub body: M,
///         pub head: Layer<P>,
///     }
/// }
///
/// let layer = Layer { weight: Tensor::<f32>::zeros(&[2, 3]), bias: None, kind: Kind::Plain, heads: vec![4] };
/// let model = Model { body: layer.clone(), head: layer };
/// let tape = Tape::new();
/// let on_tape = model.on(&tape);
/// assert_eq!(on_tape.head.weight.shape().as_slice(), [2, 3]);
/// assert_eq!(on_tape.names(), ["body.weight", "head.weight"]);
/// ```
///
/// Bounds, lifetimes, constants and fields without names are refused with one message, and a field that is neither
/// leaf, module nor setting with a note that names `#[setting]`:
///
/// ```compile_fail,E0277
/// rewind_autograd::parameters! { struct Layer<P> { weight: P, heads: Vec<usize> } }
/// ```
#[macro_export]
macro_rules! parameters {
    ($(#[$($meta:tt)*])* $vis:vis struct $name:ident<$p:ident $(, $m:ident)* $(,)?> { $($body:tt)* }) => {
        $crate::parameters!(@meta [] [$vis struct $name $p [$($m)*]] [$($body)*] $(#[$($meta)*])*);
    };

    // Attributes of the struct, one at a time: of a derive list, what is not derived anyway.
    (@meta $done:tt $head:tt $body:tt #[derive(Clone $(, $($list:tt)*)?)] $($rest:tt)*) => {
        $crate::parameters!(@meta $done $head $body #[derive($($($list)*)?)] $($rest)*);
    };
    (@meta $done:tt $head:tt $body:tt #[derive(Debug $(, $($list:tt)*)?)] $($rest:tt)*) => {
        $crate::parameters!(@meta $done $head $body #[derive($($($list)*)?)] $($rest)*);
    };
    (@meta [$($done:tt)*] $head:tt $body:tt #[derive($trait:path $(, $($list:tt)*)?)] $($rest:tt)*) => {
        $crate::parameters!(@meta [$($done)* #[derive($trait)]] $head $body #[derive($($($list)*)?)] $($rest)*);
    };
    (@meta $done:tt $head:tt $body:tt #[derive()] $($rest:tt)*) => {
        $crate::parameters!(@meta $done $head $body $($rest)*);
    };
    (@meta [$($done:tt)*] $head:tt $body:tt #[$($meta:tt)*] $($rest:tt)*) => {
        $crate::parameters!(@meta [$($done)* #[$($meta)*]] $head $body $($rest)*);
    };
    (@meta $done:tt [$($head:tt)*] [$($body:tt)*]) => {
        $crate::parameters!(@field [$done $($head)*] [] [] $($body)* ,);
    };

    // Fields, one at a time: documentation first, then what kind of field it is. A field whose type is a single name is sorted
    // below, where the names of the leaf and of the modules are known.
    (@field $head:tt $done:tt [$($docs:tt)*] #[doc = $doc:expr] $($rest:tt)*) => {
        $crate::parameters!(@field $head $done [$($docs)* #[doc = $doc]] $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $docs:tt #[$kind:ident] $vis:vis $field:ident : $type:ty, $($rest:tt)*) => {
        $crate::parameters!(@field $head [$($done)* [$kind _ $docs $vis $field ($type)]] [] $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $docs:tt $vis:vis $field:ident : $name:ident, $($rest:tt)*) => {
        $crate::parameters!(@field $head [$($done)* [one $name $docs $vis $field ($name)]] [] $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $docs:tt $vis:vis $field:ident : Option<$name:ident>, $($rest:tt)*) => {
        $crate::parameters!(@field $head [$($done)* [option $name $docs $vis $field (Option<$name>)]] [] $($rest)*);
    };
    (@field $head:tt [$($done:tt)*] $docs:tt $vis:vis $field:ident : $type:ty, $($rest:tt)*) => {
        $crate::parameters!(@field $head [$($done)* [module _ $docs $vis $field ($type)]] [] $($rest)*);
    };

    (@field
        [[$($metas:tt)*] $vis:vis struct $name:ident $p:ident [$($m:ident)*]]
        [$([$kind:ident $of:tt [$($docs:tt)*] $fvis:vis $field:ident ($($type:tt)*)])*]
        []
        $(,)?
    ) => {
        #[derive(Clone, Debug)]
        $($metas)*
        $vis struct $name<$p $(, $m)*> {
            $($($docs)* $fvis $field: $($type)*,)*
        }

        const _: () = {
            /// Sorts fields whose type is a single name, or an option of one: a leaf, a module, or else a setting.
            macro_rules! sorted {
                ($walk:ident one $p $rest:tt) => { $crate::parameters!(@leaf $walk $rest) };
                ($walk:ident option $p $rest:tt) => { $crate::parameters!(@optional $walk $rest) };
                $(
                    ($walk:ident one $m $rest:tt) => { $crate::parameters!(@module $walk $rest) };
                    ($walk:ident option $m $rest:tt) => { $crate::parameters!(@module $walk $rest) };
                )*
                ($walk:ident $mark:ident _ $rest:tt) => { $crate::parameters!(@$mark $walk $rest) };
                ($walk:ident $sort:ident $any:tt $rest:tt) => { $crate::parameters!(@setting $walk $rest) };
            }

            impl<$p $(, $m: $crate::Parameters<$p>)*> $crate::Parameters<$p> for $name<$p $(, $m)*> {
                type With<__Q> = $name<__Q $(, <$m as $crate::Parameters<$p>>::With<__Q>)*>;

                #[allow(unused_variables)] // a struct of settings alone uses neither argument; so below
                fn map_at<'a, __Q>(
                    &'a self,
                    path: &mut $crate::parameters::Path,
                    f: &mut dyn FnMut(&str, &'a $p) -> __Q,
                ) -> Self::With<__Q> {
                    $name { $($field: sorted!(map_at $kind $of [&self.$field, path, f, stringify!($field)]),)* }
                }

                #[allow(unused_variables)]
                fn visit_mut_at(&mut self, path: &mut $crate::parameters::Path, f: &mut dyn FnMut(&str, &mut $p)) {
                    $(sorted!(visit_mut_at $kind $of [&mut self.$field, path, f, stringify!($field)]);)*
                }
            }
        };
    };

    // What a walk does with a field of each sort: `map_at` with a reference, `visit_mut_at` with a mutable one.
    (@leaf $walk:ident [$field:expr, $path:ident, $f:ident, $name:expr]) => {
        $path.at($name, |path| $f(path.as_str(), $field))
    };
    (@optional $walk:ident [$field:expr, $path:ident, $f:ident, $name:expr]) => {
        ::std::option::Option::from($field).map(|leaf| $path.at($name, |path| $f(path.as_str(), leaf)))
    };
    (@module $walk:ident [$field:expr, $path:ident, $f:ident, $name:expr]) => {
        $path.at($name, |path| $crate::Parameters::$walk($field, path, $f))
    };
    (@setting map_at [$field:expr, $($ignored:tt)*]) => {
        ::std::clone::Clone::clone($field)
    };
    (@setting $walk:ident $ignored:tt) => {};

    ($($other:tt)*) => {
        ::std::compile_error!(
            "`parameters!` takes `struct Name<P, M, …> { field: Type, … }`: a struct with named fields, generic in its leaf and in \
             modules, without bounds, lifetimes or constants"
        );
    };
}
