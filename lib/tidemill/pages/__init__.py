"""Pages people read: frozen values in, one self-contained HTML string out."""
