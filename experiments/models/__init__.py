"""Models of transformers: opened, fed, judged tensor by tensor, and run on this machine."""
