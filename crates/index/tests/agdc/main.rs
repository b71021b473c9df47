//! The legacy index, on a database as Python's datacube 1.9.22 made it
//! (`fixtures/agdc.sql`), and beside that Python itself.

mod access;
mod answers;
mod copies;
mod documents;
mod fixture;
mod python;
