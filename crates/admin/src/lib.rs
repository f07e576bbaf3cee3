//! Placeholder head; replaced by the first real lines.
