"""The virtual pen: the firmware's own logic with a plant that knows by itself how deep the needle went. Host only."""
