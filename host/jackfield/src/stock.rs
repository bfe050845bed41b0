//! The plugins in this binary, as the build script found them.

use jackfield_plugins::StockPlugin;

include!(concat!(env!("OUT_DIR"), "/stock.rs"));
