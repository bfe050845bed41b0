//! What comes with the binary.

/// A plugin that comes with the binary.
#[derive(Debug, Clone, Copy)]
pub struct StockPlugin {
    /// The provider's name.
    pub name: &'static str,
    /// The component.
    pub bytes: &'static [u8],
}
