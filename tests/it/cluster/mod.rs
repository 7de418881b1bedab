//! Several servers on one MongoDB. They know nothing of each other; what one stores the others find in the store.

mod healing;
