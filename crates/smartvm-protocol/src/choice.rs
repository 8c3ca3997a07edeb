//! Values that are one of a few.

/// Makes an enumeration whose values have numbers on the wire.
macro_rules! choices {
    ($(
        $(#[$attribute:meta])*
        $name:ident { $($(#[$value_attribute:meta])* $number:literal $value:ident,)* }
    )*) => {$(
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$value_attribute])* $value,)*
        }

        impl $name {
            /// Every value with its number and its name in the protocol.
            pub const ALL: &'static [(u16, Self, &'static str)] =
                &[$(($number, Self::$value, stringify!($value)),)*];

            /// Its number in the protocol.
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$value => $number,)*
                }
            }

            /// The value with a number.
            pub const fn of_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$value),)*
                    _ => None,
                }
            }
        }
    )*};
}

/// Makes such enumerations fields of messages; a number that is not known is an error.
macro_rules! strict_choices {
    ($($name:ident),*) => {$(
        impl $crate::field::Value for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $crate::field::Value::put(&self.number(), out);
            }

            fn get(bytes: &[u8]) -> Result<Self, $crate::field::FieldFault> {
                let number = <u16 as $crate::field::Value>::get(bytes)?;
                Self::of_number(number).ok_or($crate::field::FieldFault::Value)
            }
        }
    )*};
}

pub(crate) use {choices, strict_choices};
