"""A composite cathode: active material that swells and creeps in a porous elastic frame."""
