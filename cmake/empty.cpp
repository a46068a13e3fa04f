// A static library needs at least one source, even while its room is empty.
