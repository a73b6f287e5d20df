"""Exports of what a person sees: asked for, written in the background, downloaded."""
