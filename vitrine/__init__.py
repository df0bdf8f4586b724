"""Vitrine: a small Stable Diffusion of product photos, and how it was made.

The weights in ``tp2lib/models/vitrine/`` load with plain diffusers and nothing of ours. The modules
here are the whole chain that made them, in the order it runs::

    vocabulary ─► scene ─► shapes, products, stage ─► render ─► renders, captions ─► pack
                                                                    │
    model, linear_start ─► autoencoder ─► latents ─► denoiser ─► sharpen     (train)
                                                                    │
                                                      judging ─► evaluate
                                                                    │
                                          composites ─► cutout ─► cutout_bars

Run a step with ``python -m vitrine STEP``; ``--help`` lists them.
"""
