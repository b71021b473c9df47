//! SQL with its parameters. Values never stand in the text.

use sqlx::postgres::{PgArguments, PgHasArrayType, PgRow, Postgres};
use sqlx::query::{Query, QueryAs};
use sqlx::{Arguments, AssertSqlSafe, Encode, FromRow, Type};

/// A statement in the making.
#[derive(Clone, Default)]
pub(crate) struct Statement {
    pub(crate) text: String,
    arguments: PgArguments,
    n_arguments: usize,
}

impl Statement {
    /// A statement without parameters.
    pub(crate) fn of(text: String) -> Self {
        Statement {
            text,
            ..Statement::default()
        }
    }

    /// Takes a value along; gives the text that stands for it.
    pub(crate) fn bind<'q, T>(&mut self, value: T) -> String
    where
        T: Encode<'q, Postgres> + Type<Postgres>,
    {
        self.arguments
            .add(value)
            .expect("values of these types can be encoded");
        self.n_arguments += 1;
        format!("${}", self.n_arguments)
    }

    /// Takes values along as an array.
    pub(crate) fn list<T>(&mut self, values: Vec<T>) -> String
    where
        Vec<T>: for<'q> Encode<'q, Postgres> + Type<Postgres>,
        T: PgHasArrayType,
    {
        self.bind(values)
    }

    /// The statement, ready to be run once, giving nothing.
    pub(crate) fn command(self) -> Query<'static, Postgres, PgArguments> {
        sqlx::query_with(AssertSqlSafe(self.text), self.arguments)
    }

    /// The statement, ready to be run once, giving rows as `O`.
    pub(crate) fn query<O>(self) -> QueryAs<'static, Postgres, O, PgArguments>
    where
        O: for<'r> FromRow<'r, PgRow>,
    {
        // Only texts of this crate and numbered parameters get into the text.
        sqlx::query_as_with(AssertSqlSafe(self.text), self.arguments)
    }
}
