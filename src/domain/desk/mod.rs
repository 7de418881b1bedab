//! The façade of the domain.
