//! Values that go into statements and come out of rows, the same on both engines.
//!
//! Three kinds only: 64-bit integers, text, bytes; and NULL. Booleans, ids and times are
//! integers. A column that holds something else is a damaged row: a temporary error with
//! the column's position, never a panic.

use ::postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use hikyaku_types::{
    AccountId, AliasId, AuditId, ContentId, CredentialId, DomainId, EmailId, GroupId, ListId, PlanId, RoleId,
    SessionId, TenantId, ThreadId, Timestamp, TraceId,
};
use rusqlite::types::{ToSqlOutput, ValueRef};

/// One parameter of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Param<'a> {
    /// NULL, of whatever type the column has.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(&'a str),
    /// Bytes.
    Blob(&'a [u8]),
    /// A list, for `= ANY($n)`: PostgreSQL only, used by `dialect`.
    Ints(&'a [i64]),
}

macro_rules! int_param {
    ($($type:ty),*) => {$(
        impl From<$type> for Param<'_> {
            fn from(value: $type) -> Self {
                Self::Int(i64::from(value))
            }
        }
    )*};
}
int_param!(i64, i32, u32, u16, u8, bool);

macro_rules! id_param {
    ($($type:ty),*) => {$(
        impl From<$type> for Param<'_> {
            fn from(id: $type) -> Self {
                Self::Int(id.as_i64())
            }
        }
        impl Column for $type {
            fn read(value: Value<'_>) -> Option<Self> {
                Self::from_i64(i64::read(value)?)
            }
        }
    )*};
}
id_param!(
    TenantId,
    AccountId,
    DomainId,
    CredentialId,
    PlanId,
    AliasId,
    ListId,
    GroupId,
    RoleId,
    AuditId,
    EmailId,
    ContentId,
    ThreadId,
    TraceId,
    SessionId
);

impl From<Timestamp> for Param<'_> {
    fn from(time: Timestamp) -> Self {
        Self::Int(time.as_millis())
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Param<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Param<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Param<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Blob(bytes)
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Blob(bytes) => ValueRef::Blob(bytes),
            Self::Ints(_) => return Err(rusqlite::Error::InvalidParameterName("a list".into())),
        }))
    }
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut ::postgres::types::private::BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Self::Null => Ok(IsNull::Yes),
            // The server infers the type of a placeholder; an integer takes the width it wants.
            Self::Int(number) => match *ty {
                Type::INT8 => number.to_sql(ty, out),
                Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
                Type::INT2 => i16::try_from(number)?.to_sql(ty, out),
                _ => Err(format!("an integer for a parameter of type {ty}").into()),
            },
            Self::Text(text) => match *ty {
                Type::TEXT | Type::VARCHAR | Type::NAME | Type::UNKNOWN => text.to_sql(ty, out),
                _ => Err(format!("text for a parameter of type {ty}").into()),
            },
            Self::Blob(bytes) => match *ty {
                Type::BYTEA => bytes.to_sql(ty, out),
                _ => Err(format!("bytes for a parameter of type {ty}").into()),
            },
            Self::Ints(numbers) => match *ty {
                Type::INT8_ARRAY => numbers.to_sql(ty, out),
                _ => Err(format!("a list of integers for a parameter of type {ty}").into()),
            },
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A row that a query gives, valid inside the callback.
#[derive(Debug, Clone, Copy)]
pub struct Row<'r>(pub(crate) RowOf<'r>);

#[derive(Debug, Clone, Copy)]
pub(crate) enum RowOf<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r ::postgres::Row),
}

/// One column of a row, before it has a Rust type.
#[derive(Debug, Clone, Copy)]
pub enum Value<'r> {
    /// NULL.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(&'r str),
    /// Bytes.
    Blob(&'r [u8]),
}

impl<'r> Row<'r> {
    /// The value of column `index`, counted from 0.
    ///
    /// # Errors
    /// [`crate::StoreError::Failed`] if the column holds something else.
    pub fn get<T: Column>(&self, index: usize) -> Result<T, crate::StoreError> {
        self.value(index).and_then(T::read).ok_or_else(|| crate::StoreError::Failed {
            label: "row",
            cause: format!("damaged column {index}"),
        })
    }

    pub(crate) fn value(&self, index: usize) -> Option<Value<'r>> {
        match self.0 {
            RowOf::Sqlite(row) => match row.get_ref(index).ok()? {
                ValueRef::Null => Some(Value::Null),
                ValueRef::Integer(number) => Some(Value::Int(number)),
                ValueRef::Text(text) => std::str::from_utf8(text).ok().map(Value::Text),
                ValueRef::Blob(bytes) => Some(Value::Blob(bytes)),
                ValueRef::Real(_) => None,
            },
            RowOf::Postgres(row) => postgres_value(row, index),
        }
    }
}

fn postgres_value(row: &::postgres::Row, index: usize) -> Option<Value<'_>> {
    let value = match *row.columns().get(index)?.type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(index).ok()?.map(Value::Int),
        Type::INT4 => row.try_get::<_, Option<i32>>(index).ok()?.map(|number| Value::Int(number.into())),
        Type::INT2 => row.try_get::<_, Option<i16>>(index).ok()?.map(|number| Value::Int(number.into())),
        Type::BOOL => row.try_get::<_, Option<bool>>(index).ok()?.map(|yes| Value::Int(yes.into())),
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(index).ok()?.map(Value::Blob),
        Type::NUMERIC => return None,
        _ => row.try_get::<_, Option<&str>>(index).ok()?.map(Value::Text),
    };
    Some(value.unwrap_or(Value::Null))
}

/// A Rust type that a column can hold.
pub trait Column: Sized {
    /// The value, or `None` if the column holds something else.
    fn read(value: Value<'_>) -> Option<Self>;
}

impl Column for i64 {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Int(number) = value { Some(number) } else { None }
    }
}

macro_rules! narrow_column {
    ($($type:ty),*) => {$(
        impl Column for $type {
            fn read(value: Value<'_>) -> Option<Self> {
                Self::try_from(i64::read(value)?).ok()
            }
        }
    )*};
}
narrow_column!(u64, u32, u16, u8);

impl Column for bool {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value).map(|number| number != 0)
    }
}

impl Column for Timestamp {
    fn read(value: Value<'_>) -> Option<Self> {
        i64::read(value).map(Self::from_millis)
    }
}

impl Column for String {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Text(text) = value { Some(text.to_owned()) } else { None }
    }
}

impl Column for Vec<u8> {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { Some(bytes.to_vec()) } else { None }
    }
}

impl<const N: usize> Column for [u8; N] {
    fn read(value: Value<'_>) -> Option<Self> {
        if let Value::Blob(bytes) = value { bytes.try_into().ok() } else { None }
    }
}

impl<T: Column> Column for Option<T> {
    fn read(value: Value<'_>) -> Option<Self> {
        if matches!(value, Value::Null) { Some(None) } else { T::read(value).map(Some) }
    }
}
