"""What crosses the wall: answers and how they were obtained, a file a kind; and how they are kept."""
