"""Images of rare classes made by a small conditional GAN, which learns from all classes of a set."""
