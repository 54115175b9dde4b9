//! Lists: any file may be given to the import.

mod fuzz;
