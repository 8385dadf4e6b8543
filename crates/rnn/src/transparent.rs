//! The macro that writes a struct around a module.

/// Defines a struct around a module, whose parameters are those of the module under the same names, and implements
/// [`Parameters`](rewind_autograd::Parameters) for it: a wrapper that changes what a module computes, and not what its files and gradients are
/// called. [`parameters!`](rewind_autograd::parameters!) would put the name of the field before them.
///
/// The module is the only field of a tuple struct, or the first field of a struct, whose other fields are settings, which are copied
/// unchanged. Its type is the type parameter of the struct. `Clone` and `Debug` are derived, and what else a `derive` of yours lists.
///
/// ```
/// use rewind_autograd::{OnTape, Parameters, Tape, Tensor, parameters};
/// use rewind_rnn::transparent;
///
/// parameters! { pub struct Scale<P> { by: P } }
///
/// transparent! {
///     /// The module, backwards.
///     #[derive(PartialEq)]
///     pub struct Reversed<M>(pub M);
/// }
/// transparent! {
///     /// The module, several times.
///     pub struct Repeated<M> { pub module: M, pub times: usize }
/// }
///
/// let scale = Scale { by: Tensor::scalar(2.0) };
/// let wrapped = Repeated { module: Reversed(scale), times: 3 };
/// assert_eq!(wrapped.names(), ["by"]);
/// let tape = Tape::<f64>::new();
/// let on_tape = wrapped.on(&tape);
/// assert_eq!((on_tape.module.0.by.value().item(), on_tape.times), (2.0, 3));
/// ```
///
/// Anything else is refused with one message:
///
/// ```compile_fail
/// rewind_rnn::transparent! { pub struct Two<A, B>(A, B); }
/// ```
#[macro_export]
macro_rules! transparent {
    ($(#[$meta:meta])* $vis:vis struct $name:ident<$m:ident>($(#[$field_meta:meta])* $field_vis:vis $module:ident $(,)?);) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name<$m>($(#[$field_meta])* $field_vis $module);

        $crate::transparent!(@parameters $name 0);
    };
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<$m:ident> {
            $(#[$field_meta:meta])* $field_vis:vis $field:ident: $module:ident
            $(, $(#[$setting_meta:meta])* $setting_vis:vis $setting:ident: $type:ty)* $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        $vis struct $name<$m> {
            $(#[$field_meta])* $field_vis $field: $module,
            $($(#[$setting_meta])* $setting_vis $setting: $type,)*
        }

        $crate::transparent!(@parameters $name $field $($setting)*);
    };

    (@parameters $name:ident $field:tt $($setting:ident)*) => {
        /// The parameters are those of the module within, under the same names.
        impl<__P, __M: $crate::autograd::Parameters<__P>> $crate::autograd::Parameters<__P> for $name<__M> {
            type With<__Q> = $name<<__M as $crate::autograd::Parameters<__P>>::With<__Q>>;

            fn visit_mut_at(&mut self, path: &mut $crate::autograd::parameters::Path, f: &mut dyn FnMut(&str, &mut __P)) {
                $crate::autograd::Parameters::visit_mut_at(&mut self.$field, path, f);
            }

            fn map_at<'a, __Q>(
                &'a self,
                path: &mut $crate::autograd::parameters::Path,
                f: &mut dyn FnMut(&str, &'a __P) -> __Q,
            ) -> Self::With<__Q> {
                $name {
                    $field: $crate::autograd::Parameters::map_at(&self.$field, path, f),
                    $($setting: ::std::clone::Clone::clone(&self.$setting),)*
                }
            }
        }
    };

    ($($other:tt)*) => {
        ::std::compile_error!(
            "`transparent!` takes `struct Name<M>(M);` or `struct Name<M> { module: M, setting: Type, … }`: a struct around one module, \
             without bounds"
        );
    };
}
